namespace Microsoft.ML.Dpl.Tool.Studies.Protocols;

/// <summary>A few images of every class are trained on, and the test images of the same classes are classified (Zhou et al., IJCV 2022,
/// arXiv 2109.01134).</summary>
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
