namespace Microsoft.ML.Dpl.Tool.Studies.Protocols;

/// <summary>One data set is trained on, and it and the others are tested, each among its own classes: other data sets, or other images of
/// the same classes as of ImageNet (Zhou et al., CVPR 2022, arXiv 2203.05557).</summary>
/// <param name="name">As a plan writes it.</param>
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
