namespace Microsoft.ML.Dpl.Tests;

/// <summary>Finds the photographs and the trained CLIP that may lie beside a checkout; tests that need them are skipped, with a reason,
/// where they are absent.</summary>
internal static class SharedData
{
    private static readonly string? Root = Ancestors()
        .Select(d => Path.Combine(d, "shared"))
        .FirstOrDefault(d => Directory.Exists(Path.Combine(d, "data")));

    /// <summary>A path below the shared folder; skips the calling test where it is absent.</summary>
    public static string Require(string relativePath)
    {
        string? path = Root is null ? null : Path.Combine(Root, relativePath);
        Skip.If(path is null || !Path.Exists(path), $"'{relativePath}' is not beside this checkout");
        return path!;
    }

    /// <summary>The checkout's top folder.</summary>
    public static string RepositoryRoot { get; } = Ancestors().First(d => File.Exists(Path.Combine(d, "Microsoft.ML.Dpl.sln")));

    private static IEnumerable<string> Ancestors()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            yield return folder.FullName;
    }
}
