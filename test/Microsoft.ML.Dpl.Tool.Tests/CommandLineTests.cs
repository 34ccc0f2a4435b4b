namespace Microsoft.ML.Dpl.Tool.Tests;

/// <summary>What all verbs share: help, completion, and one-line errors.</summary>
public sealed class CommandLineTests
{
    [Fact]
    public async Task Help_shows_examples_and_exit_codes()
    {
        ToolProcess.Outcome help = (await ToolProcess.Run("fit", "--help")).Expect(0);
        foreach (string part in new[] { "Examples:", "dpl fit photos", "130", "--training-epochs", "[default: robust]", "paper: 40" })
            Assert.Contains(part, help.Output);
        ToolProcess.Outcome root = (await ToolProcess.Run("--help")).Expect(0);
        foreach (
            string verb in new[]
            {
                "fit",
                "search",
                "train",
                "evaluate",
                "predict",
                "zeroshot",
                "inspect",
                "compare",
                "completion",
                "onnx",
                "embed",
            }
        )
            Assert.Contains($"  {verb} ", root.Output);
    }

    [Fact]
    public async Task The_shell_completes_by_the_command_itself()
    {
        Assert.Contains("complete -o filenames -F _dpl_complete dpl", (await ToolProcess.Run("completion", "bash")).Expect(0).Output);
        string[] found = (await ToolProcess.Run("[suggest:8]", "dpl eval"))
            .Expect(0)
            .Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["evaluate"], found);
    }

    [Theory]
    [InlineData("--clip", "fit", "photos")]
    [InlineData("'nowhere'", "zeroshot", "nowhere", "--clip", "tiny-drawn")]
    [InlineData("nowhere.zip", "predict", "nowhere.zip", "image.png")]
    [InlineData("fitt", "fitt")]
    public async Task Wrong_use_ends_with_code_2_and_no_stack_trace(string part, params string[] arguments)
    {
        ToolProcess.Outcome outcome = (await ToolProcess.Run(arguments)).Expect(2);
        Assert.Contains(part, outcome.Error);
        Assert.DoesNotContain("   at ", outcome.Output + outcome.Error);
    }

    /// <summary>A mistake is reported in a few lines and in the user's terms, before anything is written.</summary>
    [Theory]
    [InlineData("Cannot parse argument 'x' for option '--seed' as a whole number.", "fit", "photos", "--clip", "tiny-drawn", "--seed", "x")]
    [InlineData("for option '--search-margin' as a number.", "search", "photos", "--clip", "tiny-drawn", "--search-margin", "much")]
    [InlineData(
        "--progress 'bar' is unknown: give one of auto, bars, lines, json, none.",
        "train",
        "photos",
        "--clip",
        "tiny-drawn",
        "--configuration",
        "uniform:2",
        "--progress",
        "bar"
    )]
    [InlineData(
        "--precision 'half' is unknown: give one of float32, tensorfloat32, bfloat16.",
        "fit",
        "photos",
        "--clip",
        "tiny-drawn",
        "--precision",
        "half"
    )]
    [InlineData("--contents", "fit", "photos", "--clip", "tiny-drawn", "--contents")]
    [InlineData("There is no file or folder 'photos'.", "compare", "photos", "--clip", "tiny-drawn")]
    [InlineData("There is no file or folder 'photos'.", "evaluate", "model.zip", "photos")]
    [InlineData("There is no model 'nowhere.zip'.", "inspect", "nowhere.zip")]
    [InlineData("There is no model 'nowhere.zip'.", "export", "nowhere.zip", "-o", "prompts")]
    [InlineData("There is no model 'nowhere.zip'.", "onnx", "nowhere.zip", "-o", "model.onnx")]
    [InlineData("--input 'bytes' is unknown: give one of pixels, image.", "onnx", "nowhere.zip", "-o", "model.onnx", "--input", "bytes")]
    [InlineData("Give either --alphas or --prompts.", "import", "-o", "configuration.json")]
    [InlineData("nowhere.npy", "import", "-o", "configuration.json", "--alphas", "nowhere.npy")]
    [InlineData("nowhere.json", "report", "nowhere.json")]
    [InlineData("no/such/clip", "backbone", "info", "no/such/clip")]
    [InlineData("fish", "completion", "fish")]
    [InlineData("--top must be at least 1; it is 0.", "predict", "model.zip", "a.png", "--top", "0")]
    public async Task Mistakes_are_told_in_few_lines(string part, params string[] arguments)
    {
        ToolProcess.Outcome outcome = (await ToolProcess.Run(arguments)).Expect(2);
        Assert.Contains(part, outcome.Error);
        Assert.InRange(outcome.ErrorLines.Length, 1, 5);
        Assert.Empty(outcome.Output);
        Assert.DoesNotContain("System.", outcome.Error);
    }

    [Fact]
    public async Task Every_verb_has_help_with_an_example()
    {
        string root = (await ToolProcess.Run("--help")).Expect(0).Output;
        string[] verbs =
        [
            .. root.Split("Commands:")[1]
                .Split("Exit codes:")[0]
                .Split('\n')
                .Where(line => line.StartsWith("  ", StringComparison.Ordinal) && line[2] != ' ')
                .Select(line => line.Trim().Split(' ')[0]),
        ];
        Assert.Equal(17, verbs.Length);
        ToolProcess.Outcome[] helps = await Task.WhenAll(verbs.Select(verb => ToolProcess.Run(verb, "--help")));
        foreach (var (verb, help) in verbs.Zip(helps))
            Assert.Contains($"  dpl {verb} ", help.Expect(0).Output.Split("Examples:")[1]);
    }

    /// <summary>Runs Bash itself with the script that the command prints.</summary>
    [SkippableFact]
    public async Task Bash_completes_verbs_options_values_and_files()
    {
        Skip.If(OperatingSystem.IsWindows(), "there is no bash");
        string folder = Directory.CreateTempSubdirectory("dpl-completion-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "my model.zip"), "");
            const string script = """
                dpl() { dotnet "$PROGRAM" "$@"; }
                eval "$(dpl completion bash)"
                try() {
                  COMP_LINE="$1" COMP_POINT=${#1}
                  local word="${1##* }"
                  _dpl_complete dpl "$word" ""
                  (IFS='|'; echo "${COMPREPLY[*]}")
                }
                cd "$FOLDER"
                try "dpl eval"
                try "dpl fit --training-e"
                try "dpl fit x --progress "
                try "dpl fit x --clip ViT-L"
                try "dpl evaluate my"
                try "dpl fit te"
                """;
            ToolProcess.Outcome outcome = (
                await ToolProcess.RunProgram("bash", ["--norc", "-c", script], ("PROGRAM", ToolProcess.Program), ("FOLDER", folder))
            ).Expect(0);
            Assert.Equal(
                ["evaluate", "--training-epochs", "auto|bars|json|lines|none", "ViT-L/14|ViT-L/14@336px", "my model.zip", ""],
                outcome.Output.Split('\n')[..^1]
            );
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Verbose_shows_where_it_failed() =>
        Assert.Contains("   at ", (await ToolProcess.Run("zeroshot", "nowhere", "--clip", "tiny-drawn", "--verbose")).Expect(2).Error);
}
