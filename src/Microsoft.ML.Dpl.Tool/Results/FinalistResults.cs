namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>A <see cref="Finalist"/> as stored in results.json, under names that do not change when the library's do.</summary>
/// <param name="Configuration">The prompt lengths; for a mixture, the candidate with the largest weight in each layer.</param>
/// <param name="ValidationLoss">Mean cross-entropy of the validation rows, in nats.</param>
/// <param name="ValidationAccuracy">Share of the validation rows classified correctly, 0 to 1.</param>
/// <param name="TrainLoss">Mean loss of the last epoch's training batches, in nats.</param>
/// <param name="WasTrained">Whether it had the lowest validation loss and was therefore trained.</param>
/// <param name="IsMixture">Whether it is the searched mixture of all candidates.</param>
internal sealed record FinalistResults(
    PromptConfiguration Configuration,
    double ValidationLoss,
    double ValidationAccuracy,
    double TrainLoss,
    bool WasTrained,
    bool IsMixture = false
)
{
    /// <summary>Converts a model's finalists.</summary>
    /// <param name="finalists">The finalists in the order of comparison; empty if nothing was compared.</param>
    public static IReadOnlyList<FinalistResults> From(IReadOnlyList<Finalist> finalists)
    {
        ArgumentNullException.ThrowIfNull(finalists);
        Finalist? winner = finalists.MinBy(finalist => finalist.ValidationLoss);
        return
        [
            .. finalists.Select(finalist => new FinalistResults(
                finalist.Configuration,
                finalist.ValidationLoss,
                finalist.ValidationAccuracy,
                finalist.TrainLoss,
                ReferenceEquals(finalist, winner),
                finalist.IsMixture
            )),
        ];
    }
}
