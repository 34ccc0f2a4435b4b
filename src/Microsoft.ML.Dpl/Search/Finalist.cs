namespace Microsoft.ML.Dpl;

/// <summary>How one configuration did in the short training by which it was compared to others.</summary>
public sealed record Finalist
{
    /// <summary>The prompt lengths; of a mixture the candidate of the largest weight in each layer.</summary>
    public required PromptConfiguration Configuration { get; init; }

    /// <summary>Whether it is the searched mixture of all candidates, see <see cref="SearchResult.Mixture"/>.</summary>
    public bool IsMixture { get; init; }

    /// <summary>Mean cross-entropy of the validation rows, in nats: the finalist with the lowest one was trained.</summary>
    public required double ValidationLoss { get; init; }

    /// <summary>Share of the validation rows classified rightly, 0 to 1.</summary>
    public required double ValidationAccuracy { get; init; }

    /// <summary>Mean loss of the last epoch's training batches, in nats.</summary>
    public required double TrainLoss { get; init; }

    /// <summary>What was compared, as a log names it.</summary>
    public override string ToString() => IsMixture ? "the searched mixture" : Configuration.ToString();
}
