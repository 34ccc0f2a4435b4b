using Microsoft.ML.Dpl.Tests;

namespace Microsoft.ML.Dpl.Tool.Tests;

/// <summary>Everything that is shipped is listed with its licence. <c>build/write-notices.sh</c> rewrites the list.</summary>
public sealed class ThirdPartyNoticesTests
{
    /// <summary>The environment variable that, set to 1, makes the test write the file before comparing with it.</summary>
    private const string WriteVariable = "DPL_WRITE_NOTICES";

    private static readonly ThirdPartyNotices Notices = new(SharedData.RepositoryRoot);

    [SkippableFact]
    public void The_list_is_what_the_tool_ships()
    {
        IReadOnlyList<ThirdPartyNotices.Package> packages = Notices.Packages();
        Skip.If(
            packages.Any(p => p.Name.Contains("cuda", StringComparison.OrdinalIgnoreCase))
                || packages.All(p => !p.Name.StartsWith("libtorch", StringComparison.Ordinal)),
            "The list is that of the tool as it is shipped, with a libtorch for the CPU."
        );
        string text = Notices.Text();
        if (Environment.GetEnvironmentVariable(WriteVariable) == "1")
            File.WriteAllText(Notices.FilePath, text);
        Assert.True(
            File.ReadAllText(Notices.FilePath).ReplaceLineEndings("\n") == text,
            "THIRD-PARTY-NOTICES.md is not what the packages say: run build/write-notices.sh and look at what changed."
        );
        foreach (
            string name in (string[])["TorchSharp", "Microsoft.ML", "SkiaSharp", "System.CommandLine", "Spectre.Console", "libtorch-cpu-…"]
        )
            Assert.Contains(packages, p => p.Name == name);
    }

    /// <summary>Other licences may require more than being listed, so adding a package under one needs a decision here.</summary>
    [Fact]
    public void Every_licence_is_one_that_was_looked_at() =>
        Assert.DoesNotContain(Notices.Packages(), p => p.Licence is not ("MIT" or "BSD-3-Clause"));

    [Fact]
    public void Every_package_names_its_owner() => Assert.DoesNotContain(Notices.Packages(), p => p.Holder.Length == 0);
}
