using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.Dpl;

/// <summary>Options for scoring with ONNX Runtime.</summary>
public sealed class DplOnnxRuntimeOptions
{
    /// <summary>Number of threads for one forward pass, at least 1; null: one per core.</summary>
    public int? Threads { get; init; }

    /// <summary>The precision in which weights are stored and multiplied, where the graph is created from the CLIP tower in the zip; null:
    /// <see cref="OnnxPrecision.Float32"/>, or the precision of the graph saved in the zip. <see cref="OnnxPrecision.Int8"/> is two to
    /// three times as fast on processors with VNNI, with slightly different scores.</summary>
    public OnnxPrecision? Precision { get; init; }

    /// <summary>Sets other options of ONNX Runtime, such as an execution provider; called once for each model, after
    /// <see cref="Threads"/> has been applied.</summary>
    public Action<SessionOptions>? Configure { get; init; }
}
