using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>A method that makes a classifier from a few labelled images. To add a method, implement this interface and add a
/// <see cref="MethodFamily"/>, which parses it from text, to the list in <see cref="StudyMethods"/>.</summary>
internal interface IStudyMethod
{
    /// <summary>Whether its classifiers can be given other classes by name (<see cref="IStudyClassifier.WithClasses"/>), as base-to-new and
    /// the transfer protocols require.</summary>
    bool KnowsNewClasses { get; }

    /// <summary>Whether the method learns from images. A method that does not is run once for all shots and seeds, and gets one image per
    /// class, which only provides the class name.</summary>
    bool Learns => true;

    /// <summary>Checks, before the first run of a study, for everything that would make <see cref="Fit"/> fail regardless of the
    /// images.</summary>
    /// <param name="backbone">The study's CLIP.</param>
    /// <exception cref="ArgumentException">The method cannot be used with this CLIP, or an option is out of range.</exception>
    void Check(ClipBackbone backbone);

    /// <summary>Trains a classifier. Equal tasks give bitwise equal classifiers, whatever ran before in this process.</summary>
    /// <param name="task">The images, and the settings that all methods share.</param>
    /// <returns>The classifier, which the caller disposes.</returns>
    /// <exception cref="OperationCanceledException">The task's token was cancelled.</exception>
    IStudyClassifier Fit(MethodTask task);
}

/// <summary>A classifier made by a method.</summary>
internal interface IStudyClassifier : IDisposable
{
    /// <summary>The classes, in the order of the probabilities.</summary>
    IReadOnlyList<string> Classes { get; }

    /// <summary>Number of parameters learnt from images; 0 for zero-shot CLIP.</summary>
    long TrainedNumbers { get; }

    /// <summary>Accuracy on the validation images, 0 to 1; null if the method does not measure it.</summary>
    double? ValidationAccuracy { get; }

    /// <summary>What the method chose by itself, as text, such as prompt lengths or a regularisation; null if nothing.</summary>
    string? Choice { get; }

    /// <summary>Computes probabilities [image][class], which sum to 1 for each image. The most probable class is the prediction, the first
    /// one in case of ties.</summary>
    /// <param name="rows">The images; their labels are ignored.</param>
    /// <param name="cancellationToken">Checked between batches.</param>
    /// <exception cref="InvalidDataException">An image cannot be read; the message names the file.</exception>
    IReadOnlyList<float[]> Probabilities(IReadOnlyList<ImageRow> rows, CancellationToken cancellationToken);

    /// <summary>Returns a classifier for other classes, which were not trained on.</summary>
    /// <param name="names">The class names, at least one.</param>
    /// <returns>A new classifier, which the caller disposes; this one stays valid.</returns>
    /// <exception cref="NotSupportedException">The method's <see cref="IStudyMethod.KnowsNewClasses"/> is false.</exception>
    IStudyClassifier WithClasses(IReadOnlyList<string> names);
}

/// <summary>What a method learns from, the same for all methods of a run.</summary>
/// <param name="Backbone">The frozen CLIP.</param>
/// <param name="Template">The data set's template of a class's text; {} stands for the class name.</param>
/// <param name="Classes">Class names in the data set's own order; every label is one of them.</param>
/// <param name="Train">Training images, at least one per class.</param>
/// <param name="Validation">Validation images, for choices that must not be made on the training images; may be empty.</param>
/// <param name="Seed">The seed of everything random.</param>
internal sealed record MethodTask(
    ClipBackbone Backbone,
    string Template,
    IReadOnlyList<string> Classes,
    IReadOnlyList<ImageRow> Train,
    IReadOnlyList<ImageRow> Validation,
    int Seed
)
{
    /// <summary>The device: cpu, cuda or cuda:n.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>Receives warnings, which are stored with the run's results.</summary>
    public Action<string> Warn { get; init; } = _ => { };

    /// <summary>Receives the progress of a fit of this library; may be null.</summary>
    public IProgress<FitProgress>? Progress { get; init; }

    /// <summary>Cancels the fit.</summary>
    public CancellationToken CancellationToken { get; init; }

    /// <summary>Creates a context with the task's seed that forwards this library's warnings to <see cref="Warn"/>.</summary>
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

    /// <summary>Returns the index of each row's class in <see cref="Classes"/>.</summary>
    public int[] Places(IReadOnlyList<ImageRow> rows)
    {
        Dictionary<string, int> places = Classes
            .Select((name, place) => (name, place))
            .ToDictionary(pair => pair.name, pair => pair.place, StringComparer.Ordinal);
        return [.. rows.Select(row => places[row.Label])];
    }

    /// <summary>Accuracy on the validation images, 0 to 1; null if there are none.</summary>
    /// <param name="probabilities">Probabilities [validation image][class].</param>
    public double? Accuracy(IReadOnlyList<float[]> probabilities) =>
        Validation.Count == 0 ? null : (double)LabelScore.Compute(probabilities, Places(Validation)).Right / Validation.Count;
}
