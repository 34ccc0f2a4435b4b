namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>The pictures of a run.</summary>
/// <param name="Splits">Training, validation, test: those that the run had, in that order.</param>
/// <param name="Classes">In the order of the scores.</param>
public sealed record DataResults(IReadOnlyList<SplitSource> Splits, IReadOnlyList<ClassPictures> Classes)
{
    /// <summary>One sentence: which of the training pictures the fit set aside for validation. Null: none.</summary>
    public string? SetAside { get; init; }
}

/// <summary>One set of pictures.</summary>
/// <param name="Name">training, validation or test.</param>
/// <param name="Source">Folder or file, or how it was drawn from another set.</param>
public sealed record SplitSource(string Name, string Source);

/// <summary>The pictures of one class.</summary>
/// <param name="Name">Of the class.</param>
/// <param name="Counts">One number per entry of <see cref="DataResults.Splits"/>.</param>
/// <param name="Samples">Paths of a few training pictures, for thumbnails; relative ones are taken from the working folder of <see cref="AskedResults"/>.</param>
public sealed record ClassPictures(string Name, IReadOnlyList<int> Counts, IReadOnlyList<string> Samples);
