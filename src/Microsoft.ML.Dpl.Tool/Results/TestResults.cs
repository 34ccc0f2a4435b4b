using System.Text.Json.Serialization;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>Results of a model on the test images.</summary>
/// <param name="Accuracy">Accuracy over all images; one without a prediction is not right.</param>
/// <param name="MacroAccuracy">Mean over the classes that have test images, 0 to 1.</param>
/// <param name="LogLoss">Mean negative log-likelihood of the true class, in nats; probabilities below 1e-15 count as 1e-15.</param>
/// <param name="Calibration">Calibration of the probabilities.</param>
/// <param name="Classes">Class names in the order of the scores.</param>
/// <param name="Confusion">[true class][predicted class], numbers of images; those without a prediction are not in it.</param>
/// <param name="PerClass">One per class.</param>
/// <param name="Predictions">One per image.</param>
internal sealed record TestResults(
    AccuracyInterval Accuracy,
    double MacroAccuracy,
    double LogLoss,
    CalibrationResults Calibration,
    IReadOnlyList<string> Classes,
    IReadOnlyList<IReadOnlyList<int>> Confusion,
    IReadOnlyList<ClassAccuracy> PerClass,
    IReadOnlyList<TestPrediction> Predictions
)
{
    /// <summary>Number of images without a prediction; null if the model has no threshold.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Unanswered { get; init; }

    /// <summary>Computes the results from the predictions.</summary>
    /// <param name="classes">Class names in the order of the scores.</param>
    /// <param name="predictions">At least one; their classes are among <paramref name="classes"/>.</param>
    /// <exception cref="ArgumentException">There is no prediction, or one has an unknown class; the message names its file.</exception>
    public static TestResults From(IReadOnlyList<string> classes, IReadOnlyList<TestPrediction> predictions)
    {
        ArgumentNullException.ThrowIfNull(classes);
        ArgumentNullException.ThrowIfNull(predictions);
        if (predictions.Count == 0)
            throw new ArgumentException("There is no test image to count.", nameof(predictions));
        Dictionary<string, int> places = classes
            .Select((name, i) => (name, i))
            .ToDictionary(pair => pair.name, pair => pair.i, StringComparer.Ordinal);
        int[] images = new int[classes.Count];
        int[][] confusion = [.. classes.Select(_ => new int[classes.Count])];
        foreach (TestPrediction prediction in predictions)
        {
            int truth = Place(prediction, prediction.True);
            images[truth]++;
            if (prediction.Predicted is { } predicted)
                confusion[truth][Place(prediction, predicted)]++;
        }
        ClassAccuracy[] perClass =
        [
            .. classes.Select((name, i) => new ClassAccuracy(name, images[i], confusion[i][i], confusion.Sum(row => row[i]))),
        ];
        int right = perClass.Sum(c => c.Right);
        return new TestResults(
            AccuracyInterval.Create(right, predictions.Count),
            perClass.Where(c => c.Images > 0).Average(c => (double)c.Right / c.Images),
            predictions.Average(p => ClassProbabilities.LogLoss(p.TrueProbability)),
            CalibrationResults.From(predictions),
            classes,
            confusion,
            perClass,
            predictions
        );

        int Place(TestPrediction prediction, string name) =>
            places.TryGetValue(name, out int place)
                ? place
                : throw new ArgumentException(
                    $"'{prediction.File}' has the class '{name}', which the model does not know.",
                    nameof(predictions)
                );
    }
}

/// <summary>Prediction for one image.</summary>
/// <param name="File">The image's path.</param>
/// <param name="True">The image's class.</param>
/// <param name="Predicted">The most probable class; null if its probability is below the model's threshold.</param>
/// <param name="Probability">Probability of the most probable class, 0 to 1.</param>
/// <param name="TrueProbability">Probability of <paramref name="True"/>, 0 to 1.</param>
internal sealed record TestPrediction(string File, string True, string? Predicted, double Probability, double TrueProbability);

/// <summary>Test results of one class.</summary>
/// <param name="Name">Name of the class.</param>
/// <param name="Images">Number of its test images.</param>
/// <param name="Right">How many of these were classified correctly.</param>
/// <param name="Predicted">Number of test images, of any class, that were classified as it.</param>
internal sealed record ClassAccuracy(string Name, int Images, int Right, int Predicted);

/// <summary>Results of another model on the same test images.</summary>
/// <param name="Name">The model's name: zero-shot CLIP, uniform 4, …</param>
/// <param name="Accuracy">Accuracy over all images.</param>
/// <param name="MacroAccuracy">Mean over classes, 0 to 1; null if it was not computed.</param>
/// <param name="Configuration">Its prompt lengths; null if they are not known.</param>
/// <param name="Difference">The fitted model's accuracy minus this model's on the same images; null if it was not computed.</param>
/// <param name="Seconds">Wall-clock time of its fit in seconds; null if it was not measured.</param>
internal sealed record ComparisonRow(
    string Name,
    AccuracyInterval Accuracy,
    double? MacroAccuracy = null,
    PromptConfiguration? Configuration = null,
    PairedDifference? Difference = null,
    double? Seconds = null
);
