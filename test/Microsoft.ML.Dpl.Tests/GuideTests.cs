using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>The guide's code blocks are one program, and what the guide points to is there.</summary>
public partial class GuideTests
{
    private static readonly string Guide = Path.Combine(SharedData.RepositoryRoot, "docs", "guide.md");
    private static readonly string Text = File.ReadAllText(Guide);

    [Fact]
    public void The_code_compiles()
    {
        string[] blocks = [.. CSharpBlock().Matches(Text).Select(match => match.Groups[1].Value)];
        Assert.True(blocks.Length >= 8, "docs/guide.md has lost its steps.");
        string usings = "global using System; global using System.Collections.Generic; global using System.IO; global using System.Linq;\n";
        IEnumerable<string> references = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator);
        CSharpCompilation compilation = CSharpCompilation.Create(
            "Guide",
            [CSharpSyntaxTree.ParseText(usings + string.Join("\n", blocks))],
            references.Select(path => MetadataReference.CreateFromFile(path)),
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable)
        );
        Assert.Empty(compilation.GetDiagnostics().Where(d => d.Severity >= DiagnosticSeverity.Warning));
    }

    /// <summary>Every step shows what it printed.</summary>
    [Fact]
    public void Every_block_of_code_is_followed_by_its_output() => Assert.Equal(CSharpBlock().Count(Text), BlockWithOutput().Count(Text));

    [Fact]
    public void Linked_files_and_named_samples_exist()
    {
        Assert.All(Link().Matches(Text).Select(m => m.Groups[1].Value), path =>
            Assert.True(File.Exists(Path.Combine(Path.GetDirectoryName(Guide)!, path)), path)
        );
        Assert.All(Sample().Matches(Text).Select(m => m.Value), folder =>
            Assert.True(Directory.Exists(Path.Combine(SharedData.RepositoryRoot, folder)), folder)
        );
    }

    [GeneratedRegex("```csharp\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex CSharpBlock();

    [GeneratedRegex("```csharp\n[^`]*```\n```text\n[^`]+```")]
    private static partial Regex BlockWithOutput();

    [GeneratedRegex(@"\]\((?!https?:)([^)#]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"samples/[A-Za-z]+")]
    private static partial Regex Sample();
}
