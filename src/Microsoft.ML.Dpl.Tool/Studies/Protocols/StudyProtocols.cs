namespace Microsoft.ML.Dpl.Tool.Studies.Protocols;

/// <summary>All that a plan can name.</summary>
internal static class StudyProtocols
{
    public static IReadOnlyList<IStudyProtocol> All { get; } =
    [new FewShot(), new BaseToNew(), new Transfer("cross-data-set"), new Transfer("domain-shift")];
}
