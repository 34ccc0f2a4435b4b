using System.Globalization;
using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>The row that an image of a fit came from.</summary>
/// <param name="Row">Its position in the data, from 0.</param>
/// <param name="Path">The path of its file; null where the image came as bytes or as an image without a tag.</param>
/// <param name="IsInValidationSet">Whether the row is one of the given validation set instead of the training data.</param>
internal readonly record struct ImageOrigin(long Row, string? Path, bool IsInValidationSet)
{
    public override string ToString() => string.IsNullOrEmpty(Path) ? $"{Row}" : $"{Row} ('{Path}')";
}

/// <summary>Describes to the caller how a fit diverged.</summary>
/// <param name="Stage">Search or training.</param>
/// <param name="Epoch">The epoch, from 1.</param>
/// <param name="Step">The step within the epoch, from 1.</param>
/// <param name="Batch">The rows of the step's batch, without those of a given validation set if it mixes both; empty if no single batch is
/// involved.</param>
/// <param name="IsInValidationSet">Whether the row numbers refer to the given validation set instead of the training data.</param>
/// <param name="Message">Which value became infinite or NaN and where, the likely cause and what to do.</param>
internal sealed record FitDivergence(
    FitStage Stage,
    int Epoch,
    int Step,
    IReadOnlyList<ImageOrigin> Batch,
    bool IsInValidationSet,
    string Message
);

/// <summary>Determines the most likely cause of an infinite or NaN value.</summary>
/// <param name="settings">Settings of the fit.</param>
/// <param name="reader">Knows the rows that the images came from.</param>
/// <param name="trainWeights">Weight of each training image in the loss, 1 on average; null: all 1.</param>
/// <param name="refitWeights">Weight of each training or validation image in the loss of a refit, 1 on average; null: all 1.</param>
/// <param name="validationWeights">Weight of each validation image in the loss, 1 on average; null: all 1.</param>
internal sealed class DivergenceAnalysis(
    FitSettings settings,
    FitImageReader reader,
    IReadOnlyList<float>? trainWeights,
    IReadOnlyList<float>? refitWeights,
    IReadOnlyList<float>? validationWeights
)
{
    private const int MostRowsShown = 8;

    // With this many times the average weight, a row's steps are too large for a learning rate chosen for the average row.
    private const float HeavyWeight = 30;
    private const double HeavyDistillation = 1000;

    /// <param name="e">The exception from the stage.</param>
    /// <param name="returns">Whether the fit returns the best result so far.</param>
    public FitDivergence Explain(NonFiniteValueException e, bool returns)
    {
        IReadOnlyList<ImageOrigin> origins = e.IsInValidation ? reader.ValidationOrigins : reader.Origins;
        ILookup<bool, ImageOrigin> batch = e
            .Images.Where(image => image < origins.Count)
            .Select(image => origins[image])
            .ToLookup(origin => origin.IsInValidationSet);
        bool isInValidationSet = batch[true].Any() && !batch[false].Any();
        string stage = e.Stage.ToString().ToLowerInvariant();
        string where = FormattableString.Invariant($"in {stage} epoch {e.Epoch + 1}, step {e.Step + 1}");
        string value = e.Value.ToString(CultureInfo.InvariantCulture);
        string what = e.Watched switch
        {
            Watched.Loss => $"The {(e.IsInValidation ? "validation " : "")}loss became {value} {where}",
            Watched.Gradient => $"A gradient became {value} {where}",
            Watched.ValidationLoss => $"The validation loss became {value} after {stage} epoch {e.Epoch + 1}",
            _ => $"The loss became {value} after the last step of {stage}",
        };
        return new FitDivergence(
            e.Stage,
            e.Epoch + 1,
            e.Step + 1,
            [.. batch[isInValidationSet]],
            isInValidationSet,
            $"{what}{Rows(batch)}. {Cause(e)}{(returns ? "" : Kept(e))}"
        );
    }

    private static string Rows(ILookup<bool, ImageOrigin> batch)
    {
        if (batch.Count == 0)
            return "";
        string[] parts =
        [
            .. new[] { false, true }
                .Where(batch.Contains)
                .Select(isInSet => Rows([.. batch[isInSet]], isInSet ? "validation" : "training")),
        ];
        return $"; the batch is {string.Join(" and ", parts)}, counted from 0";
    }

    private static string Rows(ImageOrigin[] rows, string kind)
    {
        string more = rows.Length > MostRowsShown ? $" and {rows.Length - MostRowsShown} more" : "";
        return $"{kind} {(rows.Length == 1 ? "row" : "rows")} {string.Join(", ", rows.Take(MostRowsShown))}{more}";
    }

    private string Cause(NonFiniteValueException e)
    {
        (string option, double highest) =
            e.Stage == FitStage.Search
                ? ("Search.LearningRate", settings.Search!.LearningRate)
                : ("Training.LearningRate", settings.Training.LearningRate);
        if (e.Stage == FitStage.Training && settings.Training.DistillationWeight >= HeavyDistillation)
            return string.Create(
                CultureInfo.InvariantCulture,
                $"The likely cause is Training.DistillationWeight, which is {settings.Training.DistillationWeight:g4}: it multiplies a "
                    + $"part of the loss. Set it to 10 or less."
            );
        if (e.LossBefore is not double before)
        {
            return "No step had been taken, so the learning rate is not the cause: CLIP itself gives no number for these images or these "
                + "class texts. The usual reason is weights that overflowed when they were converted to half precision: use CLIP's float32 "
                + "weights, or try another CLIP on these images.";
        }
        string course = FormattableString.Invariant(
            $"{option} is {highest:g4} ({e.LearningRate:g3} in this step) and the mean loss before was {before:g4}"
        );
        IReadOnlyList<float>? weights =
            e.IsInValidation ? validationWeights
            : e.Stage == FitStage.Training && settings is { Refits: true, Search: not null } ? refitWeights
            : trainWeights;
        float heaviest = weights is null ? 1 : e.Images.Select(image => weights[image]).DefaultIfEmpty(1).Max();
        if (heaviest >= HeavyWeight)
        {
            return string.Create(
                CultureInfo.InvariantCulture,
                $"The likely cause is a weight: one of these rows counts {heaviest:g3} times as much as the average row. Bring the weights "
                    + $"(ExampleWeightColumnName, Training.ClassWeights) closer together, or lower {option}; {course}."
            );
        }
        string alphas =
            e.Stage == FitStage.Search
                ? FormattableString.Invariant($" Search.AlphaLearningRate is {settings.Search!.AlphaLearningRate:g4}.")
                : "";
        return $"The likely cause is too high a learning rate: {course}.{alphas} Set "
            + $"{FormattableString.Invariant($"{option} to {highest / 10:g2}")} or less. If it also happens at the same rows with a low "
            + "learning rate, check these images.";
    }

    private string Kept(NonFiniteValueException e)
    {
        string? folder = settings.Workspace is { } kept ? Path.GetFullPath(kept.Path) : null;
        bool hasBest = e.HasGoodValues || (e.Stage == FitStage.Training && settings.Search is not null);
        return (folder, hasBest) switch
        {
            (null, true) => " With OnDivergence = ReturnBest the fit returns the best it had before.",
            (null, false) => "",
            (_, true) =>
                $" The checkpoints in '{folder}' stay: fit as before but with OnDivergence = ReturnBest to get the best that this fit "
                    + "had, or delete them to fit with other options.",
            (_, false) => $" The checkpoints in '{folder}' stay; delete them to fit with other options.",
        };
    }
}
