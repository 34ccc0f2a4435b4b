using Microsoft.ML.Dpl.Tool.Options;

namespace Microsoft.ML.Dpl.Tool.Models;

/// <summary>A saved classifier that only predicts, by whichever engine.</summary>
internal sealed class SavedClassifier : IDisposable
{
    private readonly IDisposable _owner;

    private SavedClassifier(IDisposable owner, ScoringEngine engine, ImageScores scores, IReadOnlyList<string> classNames) =>
        (_owner, Engine, Scores, ClassNames) = (owner, engine, scores, classNames);

    /// <summary>What computes; never <see cref="ScoringEngine.Auto"/>.</summary>
    public ScoringEngine Engine { get; }

    /// <summary>The probabilities of images by their paths.</summary>
    public ImageScores Scores { get; }

    /// <summary>The classes in the order of the scores.</summary>
    public IReadOnlyList<string> ClassNames { get; }

    /// <param name="mlContext">Chooses the device.</param>
    /// <param name="path">The zip, which <see cref="SavedModel.Check"/> has looked at.</param>
    /// <param name="engine">As <see cref="EngineRequest.Choose"/> gives it.</param>
    /// <param name="request">With what ONNX Runtime computes.</param>
    /// <exception cref="IOException">The model's CLIP was not found.</exception>
    /// <exception cref="InvalidDataException">It holds no model of this library, or is damaged.</exception>
    /// <exception cref="InvalidOperationException">It cannot be scored by the engine or with the precision that was asked for.</exception>
    public static SavedClassifier Load(MLContext mlContext, string path, ScoringEngine engine, EngineRequest request)
    {
        if (engine == ScoringEngine.LibTorch)
        {
            DplTransformer heavy = mlContext.Model.LoadDpl(path);
            return new SavedClassifier(heavy, engine, new ImageScores(mlContext, heavy), heavy.ClassNames);
        }
        DplOnnxTransformer light = mlContext.Model.LoadDplWithOnnxRuntime(
            path,
            new DplOnnxRuntimeOptions { Threads = request.Threads, Precision = request.Precision }
        );
        var scores = new ImageScores(mlContext, light.Transform, light.ImageColumnName, light.ScoreColumnName);
        return new SavedClassifier(light, engine, scores, light.ClassNames);
    }

    public void Dispose() => _owner.Dispose();
}
