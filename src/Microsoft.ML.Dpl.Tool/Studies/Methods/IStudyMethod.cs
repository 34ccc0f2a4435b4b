using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>A way to make a classifier of a few labelled images. A new one is a class of this interface and a
/// <see cref="MethodFamily"/> in the list of <see cref="StudyMethods"/>, which reads it from text.</summary>
internal interface IStudyMethod
{
    /// <summary>Whether a classifier that it made can be asked for other classes by their names
    /// (<see cref="IStudyClassifier.WithClasses"/>), as base-to-new and the transfers to other data need it.</summary>
    bool KnowsNewClasses { get; }

    /// <summary>Whether images are learnt from: what does not is run once for all shots and seeds, and gets one image of each class, which
    /// names it.</summary>
    bool Learns => true;

    /// <summary>Looks, before the first run of a study, at what would make <see cref="Fit"/> fail whatever the images are.</summary>
    /// <param name="backbone">The study's CLIP.</param>
    /// <exception cref="ArgumentException">It cannot be used with that CLIP, or an option is out of range.</exception>
    void Check(ClipBackbone backbone);

    /// <summary>Learns. Equal tasks give equal classifiers to the bit, whatever ran before in this process.</summary>
    /// <param name="task">The images, and what all methods have in common.</param>
    /// <returns>The caller disposes it.</returns>
    /// <exception cref="OperationCanceledException">The task's token was cancelled.</exception>
    IStudyClassifier Fit(MethodTask task);
}

/// <summary>What a method made.</summary>
internal interface IStudyClassifier : IDisposable
{
    /// <summary>The classes, in the order of the probabilities.</summary>
    IReadOnlyList<string> Classes { get; }

    /// <summary>How many numbers were learnt from images: 0 of zero-shot CLIP.</summary>
    long TrainedNumbers { get; }

    /// <summary>Accuracy on the validation images, 0 to 1; null where the method does not measure it.</summary>
    double? ValidationAccuracy { get; }

    /// <summary>What the method chose by itself, in its own words, such as prompt lengths or a regularisation; null: nothing.</summary>
    string? Choice { get; }

    /// <summary>[image][class] probabilities, each image's of sum 1. The most probable class is the prediction, of equals the
    /// first.</summary>
    /// <param name="rows">Whose labels are not looked at.</param>
    /// <param name="cancellationToken">Looked at between batches.</param>
    /// <exception cref="InvalidDataException">An image cannot be read; the message names the file.</exception>
    IReadOnlyList<float[]> Probabilities(IReadOnlyList<ImageRow> rows, CancellationToken cancellationToken);

    /// <summary>The same for classes that were not trained.</summary>
    /// <param name="names">At least one.</param>
    /// <returns>Owned by the caller; this one stays.</returns>
    /// <exception cref="NotSupportedException">The method's <see cref="IStudyMethod.KnowsNewClasses"/> is false.</exception>
    IStudyClassifier WithClasses(IReadOnlyList<string> names);
}

/// <summary>What a method learns from, the same for all methods of a run.</summary>
/// <param name="Backbone">The frozen CLIP.</param>
/// <param name="Template">The data set's text of a class; {} stands for the name.</param>
/// <param name="Classes">In the data set's own order; every label is one of them.</param>
/// <param name="Train">At least one image of each class.</param>
/// <param name="Validation">For choices that are not to be made on the training images; may be empty.</param>
/// <param name="Seed">Of everything random.</param>
internal sealed record MethodTask(
    ClipBackbone Backbone,
    string Template,
    IReadOnlyList<string> Classes,
    IReadOnlyList<ImageRow> Train,
    IReadOnlyList<ImageRow> Validation,
    int Seed
)
{
    /// <summary>cpu, cuda or cuda:n.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>Receives what should be known beside the figures, and is kept with the run.</summary>
    public Action<string> Warn { get; init; } = _ => { };

    /// <summary>Receives every step of a fit of this library; null: nobody does.</summary>
    public IProgress<FitProgress>? Progress { get; init; }

    /// <summary>Ends the fit.</summary>
    public CancellationToken CancellationToken { get; init; }

    /// <summary>A context of the task's seed, which hands on what this library warns of.</summary>
    public MLContext CreateContext()
    {
        var context = new MLContext(Seed);
        context.Log += (_, e) =>
        {
            if (e.Kind == ChannelMessageKind.Warning && e.Source.Contains("Dpl", StringComparison.Ordinal))
                Warn(e.RawMessage);
        };
        return context;
    }

    /// <summary>Each row's class as a place among <see cref="Classes"/>.</summary>
    public int[] Places(IReadOnlyList<ImageRow> rows)
    {
        Dictionary<string, int> places = Classes
            .Select((name, place) => (name, place))
            .ToDictionary(pair => pair.name, pair => pair.place, StringComparer.Ordinal);
        return [.. rows.Select(row => places[row.Label])];
    }

    /// <summary>The share of validation images that are right, 0 to 1; null where there are none.</summary>
    /// <param name="probabilities">[validation image][class].</param>
    public double? Accuracy(IReadOnlyList<float[]> probabilities) =>
        Validation.Count == 0 ? null : (double)LabelScore.Compute(probabilities, Places(Validation)).Right / Validation.Count;
}
