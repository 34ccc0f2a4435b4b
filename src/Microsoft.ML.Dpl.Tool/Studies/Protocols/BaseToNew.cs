using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Studies.Protocols;

/// <summary>The first half of the classes is trained, and both halves are tested, each among itself (Zhou et al., CVPR 2022, arXiv
/// 2203.05557).</summary>
internal sealed class BaseToNew : IStudyProtocol
{
    /// <summary>The names of its tests.</summary>
    public const string Base = "base",
        New = "new";

    public string Name => "base-to-new";

    public bool HasSource => false;

    public bool AsksForNewClasses => true;

    public ProtocolSets Divide(DataRows data, IReadOnlyList<DataRows> targets)
    {
        IReadOnlyList<string> classes = data.ClassesOf(data.Sets.Train);
        int half = (classes.Count + 1) / 2;
        string[] trained = [.. classes.Take(half)],
            others = [.. classes.Skip(half)];
        ProtocolTest Test(string name, string[] of) => new(name, data.Data.Template, of, RowsOf(data.Sets.Test, of));
        return new ProtocolSets(
            trained,
            RowsOf(data.Sets.Train, trained),
            RowsOf(data.Sets.Validation, trained),
            [Test(Base, trained), Test(New, others)]
        );
    }

    private static IReadOnlyList<ImageRow> RowsOf(IReadOnlyList<ImageRow> rows, string[] classes)
    {
        var kept = classes.ToHashSet(StringComparer.Ordinal);
        return [.. rows.Where(row => kept.Contains(row.Label))];
    }
}
