namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>The images of a run.</summary>
/// <param name="Splits">The sets that the run had, in the order training, validation, test.</param>
/// <param name="Classes">The classes in the order of the scores.</param>
internal sealed record DataResults(IReadOnlyList<SplitSource> Splits, IReadOnlyList<ClassImages> Classes)
{
    /// <summary>Which of the training images the fit held out for validation, in one sentence; null if none.</summary>
    public string? SetAside { get; init; }
}

/// <summary>One set of images.</summary>
/// <param name="Name"><c>training</c>, <c>validation</c> or <c>test</c>.</param>
/// <param name="Source">The folder or file, or how the set was split from another one.</param>
internal sealed record SplitSource(string Name, string Source);

/// <summary>The images of one class.</summary>
/// <param name="Name">Name of the class.</param>
/// <param name="Counts">Number of images in each entry of <see cref="DataResults.Splits"/>.</param>
/// <param name="Samples">Paths of a few training images, for thumbnails; relative paths start at the working folder of
/// <see cref="AskedResults"/>.</param>
internal sealed record ClassImages(string Name, IReadOnlyList<int> Counts, IReadOnlyList<string> Samples);
