using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Studies.DataSets;

/// <summary>The state of a known data set in the root folder.</summary>
internal enum DataState
{
    /// <summary>The data set is complete.</summary>
    Whole,

    /// <summary>It can be read, but has other numbers of classes or images than published.</summary>
    OtherSize,

    /// <summary>Something is missing, or cannot be read.</summary>
    Broken,

    /// <summary>Its folder does not exist.</summary>
    Absent,
}

/// <summary>The result of checking one data set.</summary>
/// <param name="DataSet">The data set.</param>
/// <param name="State">Its state.</param>
/// <param name="Found">Numbers of classes and images found; null if it could not be read.</param>
/// <param name="Notes">Problems, one sentence each.</param>
internal sealed record DataFinding(KnownDataSet DataSet, DataState State, DataSetSize? Found, IReadOnlyList<string> Notes);

/// <summary>Checks the data sets in a root folder without opening any image.</summary>
internal static class DataCheck
{
    /// <param name="known">The data set.</param>
    /// <param name="root">The root folder, which must exist.</param>
    /// <param name="cancellationToken">Cancels the search for images.</param>
    /// <exception cref="OperationCanceledException">The search was cancelled.</exception>
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
