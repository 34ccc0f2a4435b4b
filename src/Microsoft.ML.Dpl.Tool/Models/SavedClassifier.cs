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
    /// <param name="path">The zip.</param>
    /// <param name="request">What is to compute.</param>
    /// <exception cref="IOException">There is no such file, or the model's CLIP was not found.</exception>
    /// <exception cref="InvalidDataException">It holds no model of this library, or is damaged.</exception>
    /// <exception cref="InvalidOperationException">It cannot be scored by the engine or with the precision that was asked for.</exception>
    public static SavedClassifier Load(MLContext mlContext, string path, EngineRequest request)
    {
        DplModelInfo info = SavedModel.Check(path);
        if (request.Choose(info) == ScoringEngine.LibTorch)
        {
            request.Prepare();
            DplTransformer heavy = SavedModel.Load(mlContext, path).Transformer;
            return new SavedClassifier(heavy, ScoringEngine.LibTorch, new ImageScores(mlContext, heavy), heavy.ClassNames);
        }
        DplOnnxTransformer light = mlContext.Model.LoadDplWithOnnxRuntime(
            path,
            new DplOnnxRuntimeOptions { Threads = request.Threads, Precision = request.Precision }
        );
        var scores = new ImageScores(mlContext, light.Transform, light.ImageColumnName, light.ScoreColumnName);
        return new SavedClassifier(light, ScoringEngine.OnnxRuntime, scores, light.ClassNames);
    }

    public void Dispose() => _owner.Dispose();
}
