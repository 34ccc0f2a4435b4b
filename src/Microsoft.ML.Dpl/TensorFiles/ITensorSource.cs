using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>What a checkpoint says of one tensor.</summary>
internal sealed record TensorEntry(string Name, ScalarType Type, IReadOnlyList<long> Shape);

/// <summary>Named tensors of a checkpoint, whatever file or files they lie in.</summary>
internal interface ITensorSource : IDisposable
{
    /// <summary>The file or folder, for messages.</summary>
    string Location { get; }

    IReadOnlyDictionary<string, TensorEntry> Entries { get; }

    /// <summary>Free text stored beside the tensors; empty where there is none.</summary>
    IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Reads one tensor in its stored type, on the CPU. The caller owns it.</summary>
    Tensor Read(string name);
}
