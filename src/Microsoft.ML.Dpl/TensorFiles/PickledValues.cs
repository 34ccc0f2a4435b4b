using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>A list or tuple of a pickle.</summary>
internal sealed record PickledList(List<object?> Items);

/// <summary>A dictionary of a pickle, in its order.</summary>
internal sealed record PickledDictionary(List<KeyValuePair<object?, object?>> Items);

/// <summary>A module of a TorchScript archive: its attributes, without its code.</summary>
internal sealed class PickledModule
{
    public PickledDictionary Attributes { get; set; } = new([]);
}

/// <summary>The file of the archive that holds some tensors' numbers.</summary>
/// <param name="Type">Of each number.</param>
/// <param name="Key">The file's name below <c>data/</c>.</param>
/// <param name="Count">Numbers in it.</param>
internal sealed record PickledStorage(ScalarType Type, string Key, long Count);

/// <summary>A tensor as a part of a storage.</summary>
/// <param name="Storage">Where its numbers lie.</param>
/// <param name="Offset">The first one's place.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Strides">The steps along each axis, in numbers.</param>
internal sealed record PickledTensor(PickledStorage Storage, long Offset, IReadOnlyList<long> Shape, IReadOnlyList<long> Strides);

/// <summary>What a pickle may name: a closed list, and the types of TorchScript modules, which are read as bags of attributes.</summary>
/// <param name="Kind">What is made of it.</param>
/// <param name="Type">Of a storage.</param>
internal sealed record PickledGlobal(PickledGlobal.Use Kind, ScalarType? Type = null)
{
    private static readonly Dictionary<string, PickledGlobal> Known = new(StringComparer.Ordinal)
    {
        ["collections.OrderedDict"] = new(Use.Dictionary),
        ["torch._utils._rebuild_tensor_v2"] = new(Use.Tensor),
        ["torch._utils._rebuild_tensor"] = new(Use.Tensor),
        ["torch._utils._rebuild_parameter"] = new(Use.First),
        ["torch.jit._pickle.build_intlist"] = new(Use.First),
        ["torch.jit._pickle.build_boollist"] = new(Use.First),
        ["torch.jit._pickle.build_doublelist"] = new(Use.First),
        ["torch.jit._pickle.build_tensorlist"] = new(Use.First),
        ["torch.jit._pickle.restore_type_tag"] = new(Use.First),
        ["torch.Size"] = new(Use.First),
        ["torch.DoubleStorage"] = new(Use.Storage, ScalarType.Float64),
        ["torch.FloatStorage"] = new(Use.Storage, ScalarType.Float32),
        ["torch.HalfStorage"] = new(Use.Storage, ScalarType.Float16),
        ["torch.BFloat16Storage"] = new(Use.Storage, ScalarType.BFloat16),
        ["torch.LongStorage"] = new(Use.Storage, ScalarType.Int64),
        ["torch.IntStorage"] = new(Use.Storage, ScalarType.Int32),
        ["torch.ShortStorage"] = new(Use.Storage, ScalarType.Int16),
        ["torch.CharStorage"] = new(Use.Storage, ScalarType.Int8),
        ["torch.ByteStorage"] = new(Use.Storage, ScalarType.Byte),
        ["torch.BoolStorage"] = new(Use.Storage, ScalarType.Bool),
    };

    /// <summary>What a name is read as.</summary>
    public enum Use
    {
        /// <summary>An empty dictionary.</summary>
        Dictionary,

        /// <summary>A tensor from storage, offset, shape and strides.</summary>
        Tensor,

        /// <summary>Its first argument.</summary>
        First,

        /// <summary>The element type of a storage.</summary>
        Storage,

        /// <summary>A module.</summary>
        Module,
    }

    /// <summary>What a full name stands for; null where no tensor needs it.</summary>
    public static PickledGlobal? Find(string name) =>
        Known.GetValueOrDefault(name) ?? (name.StartsWith("__torch__.", StringComparison.Ordinal) ? new PickledGlobal(Use.Module) : null);
}
