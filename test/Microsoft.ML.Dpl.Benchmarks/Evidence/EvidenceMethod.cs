using System.Globalization;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Benchmarks.Evidence;

/// <summary>
/// A way to make a classifier, as text: <c>zero-shot</c>, <c>uniform:4</c>, <c>search</c> (the searched configuration alone),
/// <c>default</c> (the trainer as it is), each with options behind it: <c>uniform:4 refit</c> (training and validation rows, none left to
/// validate on), <c>search search-refit</c> (what was searched is trained on the validation rows, too),
/// <c>uniform:4 paper batch=16 steps=400 crop=0.5</c>, <c>search coupled context=4 words=a_photo_of_a kgcoop=8 promptsrc prograd
/// average=gaussian templates=imagenet-80 distillation=1</c>.
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
            else if (word == "search-refit")
                options.Validation.Refit = true;
            else if (word == "mixture")
                options.Search.Result = DplSearchResult.Mixture;
            else if (word == "coupled")
                options.Design.Coupled = true;
            else if (parts is ["context", _])
                options.Design.Context = (options.Design.Context ?? new DplContext()) with { Length = (int)Number() };
            else if (parts is ["words", _])
                options.Design.Context = (options.Design.Context ?? new DplContext()) with { Words = parts[1] };
            else if (parts is ["kgcoop", _])
                options.Design.KgCoOp = new DplKgCoOp { Weight = Number() };
            else if (word == "promptsrc")
                options.Design.PromptSrc = new DplPromptSrc();
            else if (word == "prograd")
                options.Design.ProGrad = new DplProGrad();
            else if (word == "average=gaussian")
                options.Design.Average = DplEpochAverage.Gaussian();
            else if (word == "average=last")
                options.Design.Average = DplEpochAverage.Last();
            else if (parts is ["templates", _])
                options.Design.Templates = ClipTemplates.Named(parts[1]);
            else if (parts is ["distillation", _])
                options.Training.DistillationWeight = Number();
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
                + "search-epochs=, crop=, candidates=, search-refit, mixture, coupled, context=, words=, kgcoop=, promptsrc, prograd, average=gaussian, "
                + "average=last, templates=, distillation=."
        );
}
