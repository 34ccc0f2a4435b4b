using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Studies.DataSets;

/// <summary>A data set of the literature in the folder layout of CoOp (DATASETS.md of https://github.com/KaiyangZhou/CoOp, at commit
/// 0f24bd6e).</summary>
/// <param name="Name">As a plan writes it.</param>
/// <param name="Folder">Its folder below the root of all data.</param>
/// <param name="Size">What is there where it is whole.</param>
/// <param name="Contents">Files and folders that must be in its folder.</param>
/// <param name="Read">Reads the rows, given the full path of its folder.</param>
internal sealed record KnownDataSet(
    string Name,
    string Folder,
    DataSetSize Size,
    IReadOnlyList<string> Contents,
    Func<string, CancellationToken, ImageSets> Read
)
{
    /// <summary>Other ways to write the name.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>Whether there are test images only.</summary>
    public bool IsForTestsOnly => Size.Train == 0;
}

/// <summary>Numbers of classes and images.</summary>
internal sealed record DataSetSize(int Classes, int Train, int Validation, int Test)
{
    public static DataSetSize From(ImageSets sets) => new(sets.Classes.Count, sets.Train.Count, sets.Validation.Count, sets.Test.Count);

    public override string ToString() =>
        FormattableString.Invariant($"{Classes} classes; {Train} training, {Validation} validation and {Test} test images");
}
