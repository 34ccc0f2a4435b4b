namespace Microsoft.ML.Dpl.Tool.Tests.Options;

/// <summary>Options that would have no effect are refused.</summary>
public sealed class GivenOptionsTests
{
    [Theory]
    [InlineData("--lengths", "0", "2")]
    [InlineData("--epoch", "1")]
    [InlineData("--names", "right")]
    public async Task Options_for_alphas_are_refused_with_prompts(params string[] option) =>
        await Refused($"{option[0]} is for --alphas: leave it out with --prompts.", ["import", "--prompts", "p", .. option, "-o", "m.zip"]);

    [Theory]
    [InlineData("--classes", "cat", "dog")]
    [InlineData("--template", "a {}.")]
    [InlineData("--contents", "prompts")]
    [InlineData("--onnx-precision", "int8")]
    [InlineData("--any-clip")]
    [InlineData("--image-column", "Image")]
    public async Task Options_for_prompts_are_refused_with_alphas(params string[] option) =>
        await Refused($"{option[0]} is for --prompts: leave it out with --alphas.", ["import", "--alphas", "a", .. option, "-o", "c.json"]);

    [Theory]
    [InlineData("fit", "photos", "--clip", "tiny-drawn")]
    [InlineData("train", "photos", "--clip", "tiny-drawn", "--configuration", "uniform:2", "--contents", "image-tower")]
    [InlineData("import", "--prompts", "p", "--clip", "tiny-drawn", "-o", "m.zip")]
    public async Task A_precision_is_refused_without_a_graph(params string[] command) =>
        await Refused(
            "--onnx-precision is for the graph of --contents onnx: give both, or leave it out.",
            [.. command, "--onnx-precision", "int8"]
        );

    /// <summary>After a search alone nothing is trained.</summary>
    [Theory]
    [InlineData("--calibrate")]
    [InlineData("--no-refit")]
    [InlineData("--no-comparison")]
    [InlineData("--search-result")]
    public async Task A_search_alone_does_not_have_the_options_of_what_follows(string option)
    {
        Assert.DoesNotContain($"  {option} ", (await ToolProcess.Run("search", "--help")).Expect(0).Output);
        foreach (string verb in new[] { "fit", "compare" })
            Assert.Contains($"  {option} ", (await ToolProcess.Run(verb, "--help")).Expect(0).Output);
        Assert.Contains(option, (await ToolProcess.Run("search", "photos", "--clip", "tiny-drawn", option)).Expect(2).Error);
    }

    private static async Task Refused(string message, string[] command) =>
        Assert.Contains(message, Assert.Single((await ToolProcess.Run(command)).Expect(2).ErrorLines));
}
