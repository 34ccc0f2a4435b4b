using System.CommandLine;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>The engine that computes predictions.</summary>
internal enum ScoringEngine
{
    /// <summary>ONNX Runtime on the CPU if the zip has what it needs, otherwise libtorch.</summary>
    Auto,

    LibTorch,

    OnnxRuntime,
}

/// <summary>The requested engine for predictions and its settings.</summary>
/// <param name="Engine">The requested engine.</param>
/// <param name="Precision">Precision of the weights; null: as stored in the zip.</param>
/// <param name="Threads">Number of threads on the CPU; null: one for each core.</param>
/// <param name="NeedsLibTorch">A given option that only libtorch supports; null if there is none.</param>
internal sealed record EngineRequest(ScoringEngine Engine, OnnxPrecision? Precision, int? Threads, string? NeedsLibTorch)
{
    // A graph is a single protobuf message, which is limited to 2 GiB; a graph that is already in a zip is known to fit.
    private const long LargestTower = int.MaxValue - (1 << 26);

    /// <summary>Chooses the engine for a model; never <see cref="ScoringEngine.Auto"/>.</summary>
    public ScoringEngine Choose(ModelInfo info)
    {
        if (Engine != ScoringEngine.Auto)
            return Engine;
        if (Precision is not null)
            return ScoringEngine.OnnxRuntime;
        bool canDoWithout =
            NeedsLibTorch is null
            && info.Contents != ModelContents.PromptsOnly
            && info.Entries.All(entry => info.Contents == ModelContents.WithOnnx || entry.Bytes < LargestTower);
        return canDoWithout ? ScoringEngine.OnnxRuntime : ScoringEngine.LibTorch;
    }
}

/// <summary>The options for the engine that computes predictions.</summary>
internal sealed class EngineOptions
{
    private readonly ChoiceOption<ScoringEngine> _engine = new(
        "--engine",
        "What computes the predictions: onnxruntime (on the CPU, for zips with CLIP's image tower or a graph), libtorch, or auto: "
            + "onnxruntime where possible. Their probabilities differ by less than 0.00001.",
        ScoringEngine.Auto
    );
    private readonly ChoiceOption<OnnxPrecision> _precision = new(
        "--precision",
        "Precision of the weights in ONNX Runtime: float32, float16 or int8, which on processors with VNNI is two to three times as fast, "
            + "with probabilities that differ a little. Default: float32, or what the zip's graph has.",
        standard: null
    );

    public void AddTo(System.CommandLine.Command command)
    {
        command.Options.Add(_engine);
        command.Options.Add(_precision);
    }

    /// <exception cref="ArgumentException">The options contradict each other.</exception>
    public EngineRequest Read(ParseResult arguments, ModelOptions model)
    {
        ScoringEngine engine = _engine.Read(arguments);
        OnnxPrecision? precision = _precision.Find(arguments);
        string? needsLibTorch = model.NeedsLibTorch(arguments);
        if (engine == ScoringEngine.LibTorch && precision is not null)
            throw new ArgumentException($"{_precision.Name} is for ONNX Runtime: leave out {_engine.Name} libtorch.");
        if (needsLibTorch is not null && (engine == ScoringEngine.OnnxRuntime || precision is not null))
            throw new ArgumentException(
                $"{needsLibTorch} is for libtorch: leave it out, or {(precision is null ? _engine.Name : _precision.Name)}."
            );
        return new EngineRequest(engine, precision, model.ReadThreads(arguments), needsLibTorch);
    }
}
