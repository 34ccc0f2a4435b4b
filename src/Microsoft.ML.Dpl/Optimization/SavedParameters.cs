using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>Converts parameters and optimizers to tensors of a checkpoint and back.</summary>
internal static class SavedParameters
{
    /// <summary>An optimizer's state as bytes, in the caller's dispose scope.</summary>
    public static Tensor From(OptimizerHelper optimizer)
    {
        using var bytes = new MemoryStream();
        using (var writer = new BinaryWriter(bytes, System.Text.Encoding.UTF8, leaveOpen: true))
            optimizer.save_state_dict(writer);
        return tensor(bytes.ToArray(), ScalarType.Byte);
    }

    /// <summary>Restores an optimizer's state from the result of <see cref="From"/>.</summary>
    public static void Restore(OptimizerHelper optimizer, Tensor saved)
    {
        using var reader = new BinaryReader(new MemoryStream(saved.bytes.ToArray()));
        optimizer.load_state_dict(reader);
    }

    /// <summary>Adds each tensor under the name <paramref name="prefix"/> plus its index.</summary>
    public static void Add(Dictionary<string, Tensor> tensors, string prefix, IReadOnlyList<Tensor?> values)
    {
        for (int i = 0; i < values.Count; i++)
            if (values[i] is { } value)
                tensors.Add($"{prefix}.{i}", value);
    }

    /// <summary>The tensors named <paramref name="prefix"/> plus an index from 0; owned by the checkpoint.</summary>
    /// <exception cref="InvalidDataException">A tensor is missing.</exception>
    public static Tensor[] Read(int count, IReadOnlyDictionary<string, Tensor> tensors, string prefix) =>
        [
            .. Enumerable
                .Range(0, count)
                .Select(i =>
                    tensors.TryGetValue($"{prefix}.{i}", out Tensor? value)
                        ? value
                        : throw new InvalidDataException(
                            $"The checkpoint has no tensor '{prefix}.{i}'. Delete the workspace's checkpoints to start over."
                        )
                ),
        ];

    /// <summary>Copies each tensor named <paramref name="prefix"/> plus an index to the parameter with that index.</summary>
    /// <exception cref="InvalidDataException">A tensor is missing or has another shape.</exception>
    public static void Restore(IReadOnlyList<Tensor> parameters, IReadOnlyDictionary<string, Tensor> tensors, string prefix)
    {
        using var noGrad = no_grad();
        for (int i = 0; i < parameters.Count; i++)
        {
            if (!tensors.TryGetValue($"{prefix}.{i}", out Tensor? value) || !value.shape.SequenceEqual(parameters[i].shape))
                throw new InvalidDataException(
                    $"The checkpoint has no tensor '{prefix}.{i}' of shape [{string.Join(", ", parameters[i].shape)}]. Delete the "
                        + "workspace's checkpoints to start over."
                );
            parameters[i].copy_(value);
        }
    }
}
