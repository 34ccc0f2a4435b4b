using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.Dpl;

/// <summary>How ONNX Runtime is to score.</summary>
public sealed class DplOnnxRuntimeOptions
{
    /// <summary>Threads that share one forward pass, at least 1; null: one for each core.</summary>
    public int? Threads { get; init; }

    /// <summary>How weights are kept and multiplied, with a graph that is made of CLIP's tower in the zip; null:
    /// <see cref="OnnxPrecision.Float32"/>, or what a graph in the zip has. <see cref="OnnxPrecision.Int8"/> is two to three times as
    /// fast on processors with VNNI, with scores that differ a little.</summary>
    public OnnxPrecision? Precision { get; init; }

    /// <summary>Sets what else ONNX Runtime offers, such as an execution provider; called once for each model, after
    /// <see cref="Threads"/>.</summary>
    public Action<SessionOptions>? Configure { get; init; }
}
