using System.Globalization;

namespace Microsoft.ML.Dpl.Benchmarks.Evidence;

/// <summary>
/// A way to make a classifier, as text: <c>zero-shot</c>, <c>uniform:4</c>, <c>search</c> (the searched configuration alone),
/// <c>default</c> (the trainer as it is), each with options behind it: <c>uniform:4 refit</c> (training and validation rows, none left to
/// validate on), <c>uniform:4 paper batch=16 steps=400 crop=0.5</c>.
/// </summary>
/// <param name="Text">As given, which is its name in the results.</param>
internal sealed record EvidenceMethod(string Text)
{
    private string[] Words => Text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Trains it.</summary>
    /// <param name="task">Whose images.</param>
    /// <param name="seed">Of everything random.</param>
    /// <exception cref="FormatException">The text is no method.</exception>
    public DplTransformer Fit(BenchmarkTask task, int seed)
    {
        DplTrainer.Options options = task.Options(seed);
        bool refit = false;
        string kind = Words[0];
        if (kind == "zero-shot")
            options.Configuration = PromptConfiguration.ZeroShot(task.Backbone);
        else if (kind.StartsWith("uniform:", StringComparison.Ordinal))
            options.Configuration = PromptConfiguration.Uniform(task.Backbone, int.Parse(kind[8..], CultureInfo.InvariantCulture));
        else if (kind == "search")
            options.Search.Compare = false;
        else if (kind != "default")
            throw Unknown(kind);
        foreach (string word in Words.Skip(1))
        {
            string[] parts = word.Split('=');
            double Number() => double.Parse(parts[1], CultureInfo.InvariantCulture);
            if (word == "refit")
                refit = true;
            else if (word == "paper")
                options.Training.Recipe = DplRecipe.Paper;
            else if (parts is ["batch", _])
                options.Training.BatchSize = (int)Number();
            else if (parts is ["steps", _])
                options.Training.Steps = (int)Number();
            else if (parts is ["epochs", _])
                options.Training.Epochs = (int)Number();
            else if (parts is ["search-epochs", _])
                options.Search.Epochs = (int)Number();
            else if (parts is ["crop", _])
                options.Training.SmallestCrop = Number();
            else if (parts is ["candidates", _])
                options.Search.CandidateLengths =
                [
                    .. parts[1].Split(',').Select(length => int.Parse(length, CultureInfo.InvariantCulture)),
                ];
            else
                throw Unknown(word);
        }
        if (!refit)
            options.Validation.Set = task.Validation;
        return task
            .Context.MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(refit ? task.TrainAndValidation : task.Train);
    }

    private FormatException Unknown(string word) =>
        new(
            $"'{word}' in '{Text}' is not known: zero-shot, uniform:N, search or default, then refit, paper, batch=, steps=, epochs=, "
                + "search-epochs=, crop=, candidates=."
        );
}
