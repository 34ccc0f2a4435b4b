using System.Text.RegularExpressions;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>The guide's code blocks form one program, and the guide shows what each block prints.</summary>
public partial class GuideTests
{
    private const string Guide = "docs/guide.md";

    [Fact]
    public void The_code_compiles()
    {
        Assert.True(MarkdownCode.Blocks(Guide).Length >= 8, "docs/guide.md has lost its steps.");
        MarkdownCode.AssertCompiles(Guide);
    }

    [Fact]
    public void Every_block_of_code_is_followed_by_its_output()
    {
        string text = File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, Guide));
        Assert.Equal(MarkdownCode.Blocks(Guide).Length, BlockWithOutput().Count(text));
    }

    [GeneratedRegex("```csharp\n[^`]*```\n```text\n[^`]+```")]
    private static partial Regex BlockWithOutput();
}
