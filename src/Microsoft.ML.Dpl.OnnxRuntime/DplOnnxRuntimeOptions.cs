using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.Dpl;

/// <summary>How ONNX Runtime is to score.</summary>
public sealed class DplOnnxRuntimeOptions
{
    /// <summary>Threads that share one forward pass, at least 1; null: one for each core.</summary>
    public int? Threads { get; init; }

    /// <summary>Sets what else ONNX Runtime offers, such as an execution provider; called once for each model, after
    /// <see cref="Threads"/>.</summary>
    public Action<SessionOptions>? Configure { get; init; }
}
