namespace Microsoft.ML.Dpl.Tests;

/// <summary>Finds the reference data that lies beside a checkout; tests that need it are skipped with a reason where it is absent.</summary>
internal static class SharedData
{
    private static readonly string? Root = FindShared();

    /// <summary>A path below the shared folder; skips the calling test where it is absent.</summary>
    public static string Require(string relativePath)
    {
        string? path = Root is null ? null : Path.Combine(Root, relativePath);
        Skip.If(path is null || !Path.Exists(path), $"reference data '{relativePath}' is not beside this checkout");
        return path!;
    }

    /// <summary>The folder of golden cases: DPL_GOLDEN, else ../shared/golden. Null where there is none.</summary>
    public static string? GoldenFolder
        => Environment.GetEnvironmentVariable("DPL_GOLDEN") is { Length: > 0 } folder ? folder
            : Root is not null && Directory.Exists(Path.Combine(Root, "golden")) ? Path.Combine(Root, "golden") : null;

    /// <summary>The checkout's top folder.</summary>
    public static string RepositoryRoot { get; } = Ancestors().First(d => File.Exists(Path.Combine(d, "Microsoft.ML.Dpl.sln")));

    private static string? FindShared() => Ancestors().Select(d => Path.Combine(d, "shared")).FirstOrDefault(d => Directory.Exists(Path.Combine(d, "golden")));

    private static IEnumerable<string> Ancestors()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent) yield return folder.FullName;
    }
}
