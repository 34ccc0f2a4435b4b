namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>The images of a run.</summary>
/// <param name="Splits">Training, validation, test: those that the run had, in that order.</param>
/// <param name="Classes">In the order of the scores.</param>
internal sealed record DataResults(IReadOnlyList<SplitSource> Splits, IReadOnlyList<ClassImages> Classes)
{
    /// <summary>One sentence: which of the training images the fit set aside for validation. Null: none.</summary>
    public string? SetAside { get; init; }
}

/// <summary>One set of images.</summary>
/// <param name="Name">training, validation or test.</param>
/// <param name="Source">Folder or file, or how it was drawn from another set.</param>
internal sealed record SplitSource(string Name, string Source);

/// <summary>The images of one class.</summary>
/// <param name="Name">Of the class.</param>
/// <param name="Counts">One number per entry of <see cref="DataResults.Splits"/>.</param>
/// <param name="Samples">Paths of a few training images, for thumbnails; relative ones are taken from the working folder of
/// <see cref="AskedResults"/>.</param>
internal sealed record ClassImages(string Name, IReadOnlyList<int> Counts, IReadOnlyList<string> Samples);
