namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>Finds the tensors in what a pickle described, under the names of a state dictionary.</summary>
internal static class TorchTensors
{
    private const int DeepestModule = 64,
        MostValues = 1_000_000;
    private const string StateDictionary = "state_dict";

    /// <summary>All tensors: of a dictionary by its keys, of TorchScript modules by the attributes that lead there, joined by
    /// dots.</summary>
    /// <param name="root">What <see cref="TensorPickle.Read"/> returned; a training checkpoint's <c>state_dict</c> is looked into.</param>
    /// <param name="location">The file, for messages.</param>
    /// <exception cref="InvalidDataException">It holds no tensors, or it is endless.</exception>
    public static IReadOnlyDictionary<string, PickledTensor> Named(object? root, string location)
    {
        if (
            root is PickledDictionary { Items: var items }
            && items.FirstOrDefault(i => i.Key is StateDictionary).Value is PickledDictionary inner
        )
            root = inner;
        var tensors = new Dictionary<string, PickledTensor>(StringComparer.Ordinal);
        int values = 0;
        Collect(root, "", 0);
        return tensors.Count > 0
            ? tensors
            : throw new InvalidDataException($"{location}: the archive holds no tensors by name, so it is no checkpoint of a model.");

        void Collect(object? value, string name, int depth)
        {
            if (++values > MostValues || depth > DeepestModule)
                throw new InvalidDataException(
                    $"{location}: its data.pkl holds itself or more than {MostValues} values, so it is no checkpoint of a model."
                );
            if (value is PickledTensor tensor)
            {
                if (!tensors.TryAdd(name, tensor))
                    throw new InvalidDataException($"{location}: tensor '{name}' occurs twice.");
                return;
            }
            PickledDictionary? fields = value as PickledDictionary ?? (value as PickledModule)?.Attributes;
            foreach (var (key, field) in fields?.Items ?? [])
                if (key is string text)
                    Collect(field, name.Length == 0 ? text : $"{name}.{text}", depth + 1);
        }
    }

    /// <summary>How many numbers a tensor has; null where that exceeds a long.</summary>
    public static long? Elements(PickledTensor tensor)
    {
        long elements = 1;
        foreach (long size in tensor.Shape)
        {
            if (size > int.MaxValue || (size > 0 && elements > int.MaxValue / size))
                return null;
            elements *= size;
        }
        return elements;
    }

    /// <summary>How many numbers of its storage a tensor reaches over; <see cref="long.MaxValue"/> where that exceeds a long.</summary>
    public static long Span(PickledTensor tensor)
    {
        if (tensor.Shape.Contains(0))
            return 0;
        Int128 last = 0;
        foreach (var (size, stride) in tensor.Shape.Zip(tensor.Strides))
            last += (Int128)(size - 1) * stride;
        return last < long.MaxValue ? (long)last + 1 : long.MaxValue;
    }

    /// <summary>Whether the numbers lie row by row without gaps.</summary>
    public static bool IsContiguous(PickledTensor tensor)
    {
        long expected = 1;
        for (int axis = tensor.Shape.Count - 1; axis >= 0; axis--)
        {
            if (tensor.Shape[axis] != 1 && tensor.Strides[axis] != expected)
                return false;
            expected *= tensor.Shape[axis];
        }
        return true;
    }
}
