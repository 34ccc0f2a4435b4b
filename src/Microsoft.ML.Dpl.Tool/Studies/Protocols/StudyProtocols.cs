using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Studies.Protocols;

/// <summary>All protocols that a plan can name.</summary>
internal static class StudyProtocols
{
    public static IReadOnlyList<IStudyProtocol> All { get; } =
    [new FewShot(), new BaseToNew(), new Transfer("cross-data-set"), new Transfer("domain-shift")];
}

/// <summary>Trains on a few images of every class and tests on the test images of the same classes (Zhou et al., IJCV 2022, arXiv
/// 2109.01134).</summary>
internal sealed class FewShot : IStudyProtocol
{
    /// <summary>The name of its test.</summary>
    public const string Test = "test";

    public string Name => "few-shot";

    public bool HasSource => false;

    public bool AsksForNewClasses => false;

    public ProtocolSets Divide(DataRows data, IReadOnlyList<DataRows> targets)
    {
        IReadOnlyList<string> classes = data.ClassesOf(data.Sets.Train);
        return new ProtocolSets(
            classes,
            data.Sets.Train,
            data.Sets.Validation,
            [new ProtocolTest(Test, data.Data.Template, classes, data.Sets.Test)]
        );
    }
}

/// <summary>Trains on the first half of the classes and tests on both halves, each classified among its own classes (Zhou et al., CVPR
/// 2022, arXiv 2203.05557).</summary>
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

/// <summary>Trains on one data set and tests on it and the others, each classified among its own classes: other data sets, or other images
/// of ImageNet's classes (Zhou et al., CVPR 2022, arXiv 2203.05557).</summary>
/// <param name="name">The name used in plans.</param>
internal sealed class Transfer(string name) : IStudyProtocol
{
    public string Name => name;

    public bool HasSource => true;

    public bool AsksForNewClasses => true;

    public ProtocolSets Divide(DataRows data, IReadOnlyList<DataRows> targets)
    {
        IReadOnlyList<string> classes = data.ClassesOf(data.Sets.Train);
        return new ProtocolSets(
            classes,
            data.Sets.Train,
            data.Sets.Validation,
            [
                new ProtocolTest(data.Data.Name, data.Data.Template, classes, data.Sets.Test),
                .. targets.Select(target => new ProtocolTest(
                    target.Data.Name,
                    target.Data.Template,
                    target.ClassesOf(target.Sets.All),
                    target.Sets.ToEvaluate
                )),
            ]
        );
    }
}
