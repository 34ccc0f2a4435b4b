using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Training;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>What a fit does, in the engine's terms.</summary>
internal sealed record FitSettings
{
    /// <summary>Null: the lengths are given.</summary>
    public required SearchSettings? Search { get; init; }

    /// <summary>Given where nothing is searched.</summary>
    public required IReadOnlyList<int>? TextLengths { get; init; }

    /// <inheritdoc cref="TextLengths"/>
    public required IReadOnlyList<int>? ImageLengths { get; init; }

    public required TrainingSettings Training { get; init; }

    /// <summary>A class's text, with {} for its name.</summary>
    public required string Template { get; init; }

    public required int BatchSize { get; init; }

    public required int PredictionBatchSize { get; init; }

    /// <summary>Rows of each class set aside where a search has no validation rows of its own.</summary>
    public required int ValidationRowsPerClass { get; init; }

    public required bool Augment { get; init; }

    public required int Seed { get; init; }

    public required long ImageCacheBytes { get; init; }
}
