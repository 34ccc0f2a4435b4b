namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>What a model says of the test images.</summary>
/// <param name="Accuracy">Over images.</param>
/// <param name="MacroAccuracy">Mean over the classes that have test images, 0 to 1.</param>
/// <param name="LogLoss">Mean of −ln of the true class's probability, in nats; probabilities below 1e-15 count as that.</param>
/// <param name="Calibration">How far probabilities can be taken at their word.</param>
/// <param name="Classes">In the order of the scores.</param>
/// <param name="Confusion">[true class][predicted class], numbers of images.</param>
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
    private const double LeastProbability = 1e-15;

    /// <summary>Counts.</summary>
    /// <param name="classes">In the order of the scores.</param>
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
        int[][] confusion = [.. classes.Select(_ => new int[classes.Count])];
        foreach (TestPrediction prediction in predictions)
            confusion[Place(prediction, prediction.True)][Place(prediction, prediction.Predicted)]++;
        ClassAccuracy[] perClass =
        [
            .. classes.Select((name, i) => new ClassAccuracy(name, confusion[i].Sum(), confusion[i][i], confusion.Sum(row => row[i]))),
        ];
        int right = perClass.Sum(c => c.Right);
        return new TestResults(
            AccuracyInterval.Create(right, predictions.Count),
            perClass.Where(c => c.Images > 0).Average(c => (double)c.Right / c.Images),
            predictions.Average(p => -Math.Log(Math.Max(p.TrueProbability, LeastProbability))),
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

/// <summary>What a model says of one image.</summary>
/// <param name="File">Its path.</param>
/// <param name="True">Its class.</param>
/// <param name="Predicted">The most probable class.</param>
/// <param name="Probability">Of <paramref name="Predicted"/>, 0 to 1.</param>
/// <param name="TrueProbability">Of <paramref name="True"/>, 0 to 1.</param>
internal sealed record TestPrediction(string File, string True, string Predicted, double Probability, double TrueProbability);

/// <summary>One class in the test.</summary>
/// <param name="Name">Of the class.</param>
/// <param name="Images">Test images of it.</param>
/// <param name="Right">Those of them that were classified rightly.</param>
/// <param name="Predicted">Test images of any class that were taken for it.</param>
internal sealed record ClassAccuracy(string Name, int Images, int Right, int Predicted);

/// <summary>The same test by another model.</summary>
/// <param name="Name">zero-shot CLIP, uniform 4, …</param>
/// <param name="Accuracy">Over images.</param>
/// <param name="MacroAccuracy">Mean over classes, 0 to 1; null where it was not counted.</param>
/// <param name="Configuration">Its prompt lengths; null where they are not known.</param>
/// <param name="Difference">The fitted model's lead over it on the same images; null where it was not counted.</param>
/// <param name="Seconds">What training and testing it took, wall time; null where it was not measured.</param>
internal sealed record ComparisonRow(
    string Name,
    AccuracyInterval Accuracy,
    double? MacroAccuracy = null,
    PromptConfiguration? Configuration = null,
    PairedDifference? Difference = null,
    double? Seconds = null
);
