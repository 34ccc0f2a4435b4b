namespace Microsoft.ML.Dpl;

/// <summary>What <see cref="DplTrainer.Search"/> found.</summary>
/// <param name="Configuration">The context lengths; set them as <see cref="DplTrainer.Options.Configuration"/> to train with them.</param>
/// <param name="Report">The alphas that led to them.</param>
/// <param name="WasCancelled">Whether the search was cut short, and this is the choice after its last whole epoch; see
/// <see cref="DplCancellation.ReturnBest"/>.</param>
/// <param name="HasDiverged">Whether the search's numbers went wrong, and this is the choice after its last good epoch; see
/// <see cref="DplDivergence.ReturnBest"/>.</param>
public sealed record DplSearchOutcome(PromptConfiguration Configuration, DplSearchReport Report, bool WasCancelled, bool HasDiverged);
