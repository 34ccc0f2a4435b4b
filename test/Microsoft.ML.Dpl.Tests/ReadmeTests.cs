namespace Microsoft.ML.Dpl.Tests;

/// <summary>Tests the examples of the repository's README, the packages' READMEs and the list of options.</summary>
public class ReadmeTests
{
    [Theory]
    [InlineData("README.md")]
    [InlineData("docs/options.md")]
    [InlineData("src/Microsoft.ML.Dpl/README.md")]
    [InlineData("src/Microsoft.ML.Dpl.Onnx/README.md")]
    [InlineData("src/Microsoft.ML.Dpl.OnnxRuntime/README.md")]
    [InlineData("src/Microsoft.ML.Dpl.TinyClip/README.md")]
    public void The_code_example_compiles(string path) => MarkdownCode.AssertCompiles(path);

    [Fact]
    public void The_first_example_is_short()
    {
        string code = Assert.Single(MarkdownCode.Blocks("README.md"));
        Assert.InRange(code.Split('\n').Count(line => line.Trim().Length > 0), 10, 24);
    }
}
