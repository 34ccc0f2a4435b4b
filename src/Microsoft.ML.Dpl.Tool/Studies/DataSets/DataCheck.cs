using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Studies.DataSets;

/// <summary>How a known data set stands below a root.</summary>
internal enum DataState
{
    /// <summary>Everything is there.</summary>
    Whole,

    /// <summary>It can be read, but is not the whole one.</summary>
    OtherSize,

    /// <summary>Something is missing, or cannot be read.</summary>
    Broken,

    /// <summary>There is no folder.</summary>
    Absent,
}

/// <summary>What was found of one data set.</summary>
/// <param name="DataSet">Which.</param>
/// <param name="State">In a word.</param>
/// <param name="Found">What was counted; null where it could not be read.</param>
/// <param name="Notes">What is wrong, one sentence each.</param>
internal sealed record DataFinding(KnownDataSet DataSet, DataState State, DataSetSize? Found, IReadOnlyList<string> Notes);

/// <summary>Looks at the data sets below a root without opening an image.</summary>
internal static class DataCheck
{
    /// <param name="known">The data set.</param>
    /// <param name="root">An existing folder.</param>
    /// <param name="cancellationToken">Ends the search for images.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static DataFinding Run(KnownDataSet known, string root, CancellationToken cancellationToken)
    {
        string folder = Path.Combine(root, known.Folder);
        if (!Directory.Exists(folder))
            return new DataFinding(known, DataState.Absent, null, [$"there is no folder {known.Folder}"]);
        string[] lacking = [.. known.Contents.Where(part => !Path.Exists(Path.Combine(folder, part)))];
        if (lacking.Length > 0)
            return Broken($"{known.Folder} lacks {string.Join(", ", lacking)}");
        ImageSets sets;
        try
        {
            sets = known.Read(folder, cancellationToken);
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            return Broken(e.Message);
        }
        ImageRow[] missing = [.. sets.All.Where(row => !File.Exists(row.ImagePath))];
        DataSetSize found = DataSetSize.From(sets);
        List<string> notes = [];
        if (missing.Length > 0)
            notes.Add($"{missing.Length} of {sets.All.Count()} images are missing, the first is '{missing[0].ImagePath}'");
        if (found != known.Size)
            notes.Add($"the whole one has {known.Size}");
        DataState state =
            missing.Length > 0 ? DataState.Broken
            : found != known.Size ? DataState.OtherSize
            : DataState.Whole;
        return new DataFinding(known, state, found, notes);

        DataFinding Broken(string note) => new(known, DataState.Broken, null, [note]);
    }
}
