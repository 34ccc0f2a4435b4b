using System.Globalization;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>
/// Tip-Adapter (Zhang et al., ECCV 2022, arXiv 2207.09519): the training images vote for their classes, weighted by similarity, in addition
/// to CLIP's text classifier (<see cref="CacheModel"/>); Tip-Adapter-F also trains their embeddings (<see cref="CacheTraining"/>). Three
/// things differ from the authors' code: an image's embedding is that of one centre crop instead of ten random ones, the result of the last
/// epoch is kept instead of the epoch that is best on the test images, and all data sets share one grid of weights
/// (<see cref="CacheSearch"/>).
/// </summary>
/// <param name="kind">The method's name.</param>
/// <param name="templates">Templates of the texts; null: the data set's own.</param>
/// <param name="epochs">Number of training epochs; null: no training.</param>
internal sealed class TipAdapter(string kind, IReadOnlyList<string>? templates, int? epochs) : IStudyMethod
{
    private const string TrainingFree = "tip-adapter",
        Trained = "tip-adapter-f";

    public static MethodFamily Family { get; } =
        new(
            [TrainingFree, Trained],
            $"{TrainingFree} (a cache of image vectors), {Trained} (whose vectors are trained), optionally followed by templates=, epochs= "
                + $"(of {Trained})",
            Read
        );

    public bool KnowsNewClasses => false;

    public void Check(ClipBackbone backbone) => ClipFeatures.RequireTexts(backbone, kind);

    public IStudyClassifier Fit(MethodTask task)
    {
        var features = new ClipFeatures(task, task.CreateContext());
        CacheModel? model = null;
        try
        {
            model = new CacheModel(
                features.Images(task.Train, task.CancellationToken),
                task.Places(task.Train),
                features.Classes(templates ?? [task.Template]),
                features.LogitScale()
            );
            if (epochs is int passes)
                CacheTraining.Train(model, passes, task.Seed, task.CancellationToken);
            (CacheWeights weights, double? accuracy) = Weights(task, features, model);
            CacheModel made = model;
            return new FeatureClassifier(task.Classes, features, images => made.Probabilities(images, weights), made)
            {
                // Counted as by the authors: without training the cache merely stores CLIP's embeddings.
                TrainedNumbers = epochs is null ? 0 : made.Keys.numel(),
                ValidationAccuracy = accuracy,
                Choice = string.Create(CultureInfo.InvariantCulture, $"alpha {weights.Alpha:0.###}, beta {weights.Beta:0.####}"),
            };
        }
        catch
        {
            model?.Dispose();
            features.Dispose();
            throw;
        }
    }

    private (CacheWeights Weights, double? Accuracy) Weights(MethodTask task, ClipFeatures features, CacheModel model)
    {
        if (task.Validation.Count == 0)
        {
            task.Warn(
                $"{kind}: there are no validation images to choose alpha and beta by, so they are the paper's defaults, "
                    + string.Create(CultureInfo.InvariantCulture, $"{CacheWeights.Default.Alpha} and {CacheWeights.Default.Beta}.")
            );
            return (CacheWeights.Default, null);
        }
        float[][] images = features.Images(task.Validation, task.CancellationToken);
        (CacheWeights weights, LabelScore score) = CacheSearch.Best(model, images, task.Places(task.Validation), task.CancellationToken);
        return (weights, (double)score.Right / images.Length);
    }

    private static TipAdapter Read(MethodText text)
    {
        text.RefuseValue();
        IReadOnlyList<string>? templates = null;
        int? epochs = text.Kind == Trained ? CacheTraining.DefaultEpochs : null;
        foreach (string word in text.Options)
        {
            if (word.Split('=', 2) is ["templates", { Length: > 0 } name])
                templates = Templates(text, word, name);
            else if (epochs is not null && word.Split('=', 2) is ["epochs", var value])
                epochs =
                    int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int passes) && passes >= 1
                        ? passes
                        : throw text.Unknown(word, "epochs= with a whole number from 1");
            else
                throw text.Unknown(word, epochs is null ? "templates=" : "templates= or epochs=");
        }
        return new TipAdapter(text.Kind, templates, epochs);
    }

    private static IReadOnlyList<string> Templates(MethodText text, string word, string name)
    {
        try
        {
            return ClipTemplates.Named(name);
        }
        catch (ArgumentException e)
        {
            throw new FormatException($"'{word}' in the method '{text.Text}' cannot be read: {e.Message}", e);
        }
    }
}
