using Microsoft.ML.Dpl.Tool.Options;

namespace Microsoft.ML.Dpl.Tool.Models;

/// <summary>A saved classifier for prediction only, with either engine.</summary>
internal sealed class SavedClassifier : IDisposable
{
    private readonly IDisposable _owner;

    private SavedClassifier(
        IDisposable owner,
        ScoringEngine engine,
        ImageScores scores,
        IReadOnlyList<string> classNames,
        double? threshold
    ) => (_owner, Engine, Scores, ClassNames, Threshold) = (owner, engine, scores, classNames, threshold);

    /// <summary>The engine in use; never <see cref="ScoringEngine.Auto"/>.</summary>
    public ScoringEngine Engine { get; }

    /// <summary>Computes the probabilities of images given by their paths.</summary>
    public ImageScores Scores { get; }

    /// <summary>The classes in the order of the scores.</summary>
    public IReadOnlyList<string> ClassNames { get; }

    /// <summary>The minimum probability for a class to be predicted; null for no minimum.</summary>
    public double? Threshold { get; }

    /// <param name="mlContext">Chooses the device.</param>
    /// <param name="path">The zip, already checked by <see cref="SavedModel.Check"/>.</param>
    /// <param name="engine">The engine returned by <see cref="EngineRequest.Choose"/>.</param>
    /// <param name="request">Threads and precision for ONNX Runtime.</param>
    /// <exception cref="IOException">The model's CLIP was not found.</exception>
    /// <exception cref="InvalidDataException">The zip holds no model of this library, or is damaged.</exception>
    /// <exception cref="InvalidOperationException">The model cannot be scored with the requested engine or precision.</exception>
    public static SavedClassifier Load(MLContext mlContext, string path, ScoringEngine engine, EngineRequest request)
    {
        if (engine == ScoringEngine.LibTorch)
        {
            DplTransformer heavy = mlContext.Model.LoadDpl(path);
            return new SavedClassifier(heavy, engine, new ImageScores(mlContext, heavy), heavy.ClassNames, heavy.Threshold);
        }
        DplOnnxTransformer light = mlContext.Model.LoadDplWithOnnxRuntime(
            path,
            new DplOnnxRuntimeOptions { Threads = request.Threads, Precision = request.Precision }
        );
        var scores = new ImageScores(mlContext, light.Transform, light.ImageColumnName, light.ScoreColumnName);
        return new SavedClassifier(light, engine, scores, light.ClassNames, light.Threshold);
    }

    public void Dispose() => _owner.Dispose();
}
