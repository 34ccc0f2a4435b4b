namespace Microsoft.ML.Dpl.Tool.Tests;

/// <summary>What every verb has: help, completion, and errors of one line.</summary>
public sealed class CommandLineTests
{
    [Fact]
    public async Task Help_shows_examples_and_exit_codes()
    {
        ToolProcess.Outcome help = (await ToolProcess.Run("fit", "--help")).Expect(0);
        foreach (string part in new[] { "Examples:", "dpl fit photos", "130", "--training-epochs", "[default: 40]" }) Assert.Contains(part, help.Output);
        ToolProcess.Outcome root = (await ToolProcess.Run("--help")).Expect(0);
        foreach (string verb in new[] { "fit", "search", "train", "evaluate", "predict", "zeroshot", "inspect", "compare", "completion" }) Assert.Contains($"  {verb} ", root.Output);
    }

    [Fact]
    public async Task The_shell_completes_by_the_command_itself()
    {
        Assert.Contains("complete -o filenames -F _dpl_complete dpl", (await ToolProcess.Run("completion", "bash")).Expect(0).Output);
        string[] found = (await ToolProcess.Run("[suggest:8]", "dpl eval")).Expect(0).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["evaluate"], found);
    }

    [Theory]
    [InlineData("--clip", "fit", "photos")]
    [InlineData("'nowhere'", "zeroshot", "nowhere", "--clip", "tiny")]
    [InlineData("nowhere.zip", "predict", "nowhere.zip", "picture.png")]
    [InlineData("fitt", "fitt")]
    public async Task Wrong_use_ends_with_code_2_and_no_stack_trace(string part, params string[] arguments)
    {
        ToolProcess.Outcome outcome = (await ToolProcess.Run(arguments)).Expect(2);
        Assert.Contains(part, outcome.Error);
        Assert.DoesNotContain("   at ", outcome.Output + outcome.Error);
    }

    [Fact]
    public async Task Verbose_shows_where_it_failed()
        => Assert.Contains("   at ", (await ToolProcess.Run("zeroshot", "nowhere", "--clip", "tiny", "--verbose")).Expect(2).Error);
}
