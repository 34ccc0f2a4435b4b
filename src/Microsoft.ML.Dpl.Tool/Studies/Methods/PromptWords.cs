using System.Globalization;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>The keywords after the name of a prompt method that set options of the trainer.</summary>
internal static class PromptWords
{
    /// <summary>The keyword for training on the validation images, too, with none left to validate on.</summary>
    public const string Refit = "refit";

    /// <summary>Lists all keywords, for messages.</summary>
    public static string Usage { get; } = string.Join(", ", Flags.Keys.Concat(Values.Keys.Select(name => $"{name}=")).Prepend(Refit));

    private static Dictionary<string, Action<DplTrainer.Options>> Flags =>
        new(StringComparer.Ordinal)
        {
            ["paper"] = options => options.Training.Recipe = TrainingRecipe.Paper,
            ["search-refit"] = options => options.Validation.Refit = true,
            ["mixture"] = options => options.Search.Result = SearchResult.Mixture,
            ["coupled"] = options => options.Design.Coupled = true,
            ["promptsrc"] = options => options.Design.PromptSrc = new PromptSrc(),
            ["prograd"] = options => options.Design.ProGrad = new ProGrad(),
            ["average=gaussian"] = options => options.Design.Average = EpochAverage.Gaussian(),
            ["average=last"] = options => options.Design.Average = EpochAverage.Last(),
        };

    private static Dictionary<string, Action<DplTrainer.Options, string>> Values =>
        new(StringComparer.Ordinal)
        {
            ["batch"] = (options, value) => options.Training.BatchSize = Count(value),
            ["steps"] = (options, value) => options.Training.Steps = Count(value),
            ["epochs"] = (options, value) => options.Training.Epochs = Count(value),
            ["search-epochs"] = (options, value) => options.Search.Epochs = Count(value),
            ["crop"] = (options, value) => options.Training.SmallestCrop = Number(value),
            ["smoothing"] = (options, value) => options.Training.LabelSmoothing = Number(value),
            ["candidates"] = (options, value) => options.Search.CandidateLengths = [.. value.Split(',').Select(Count)],
            ["context"] = (options, value) =>
                options.Design.Context = (options.Design.Context ?? new PromptContext()) with { Length = Count(value) },
            ["words"] = (options, value) => options.Design.Context = (options.Design.Context ?? new PromptContext()) with { Words = value },
            ["residual"] = (options, value) => options.Design.TaskResidual = Number(value),
            ["kgcoop"] = (options, value) => options.Design.KgCoOp = new KgCoOp { Weight = Number(value) },
            ["templates"] = (options, value) => options.Design.Templates = ClipTemplates.Named(value),
            ["distillation"] = (options, value) => options.Training.DistillationWeight = Number(value),
        };

    /// <returns>An action that applies the keyword to the trainer's options; it does nothing for <see cref="Refit"/>.</returns>
    /// <exception cref="FormatException">The keyword is unknown, or its value cannot be parsed.</exception>
    public static Action<DplTrainer.Options> Read(MethodText method, string word)
    {
        if (word == Refit)
            return _ => { };
        if (Flags.TryGetValue(word, out Action<DplTrainer.Options>? flag))
            return flag;
        if (word.Split('=', 2) is not [var name, { Length: > 0 } value] || !Values.TryGetValue(name, out var set))
            throw method.Unknown(word, Usage);
        try
        {
            set(new DplTrainer.Options(), value);
        }
        catch (Exception e) when (e is FormatException or OverflowException or ArgumentException)
        {
            throw new FormatException($"'{word}' in the method '{method.Text}' cannot be read: {e.Message}", e);
        }
        return options => set(options, value);
    }

    private static int Count(string text) => int.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);

    private static double Number(string text) => double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);
}
