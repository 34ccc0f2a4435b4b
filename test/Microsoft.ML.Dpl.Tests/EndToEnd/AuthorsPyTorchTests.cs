namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>The authors' algorithm in PyTorch, the baseline of the library's benchmarks, and the script that runs the comparison.</summary>
[Trait("Category", "Golden")]
public class AuthorsPyTorchTests
{
    private const string PythonVariable = "DPL_PYTHON";

    private static readonly Dictionary<string, string?> NoBytecode = new() { ["PYTHONDONTWRITEBYTECODE"] = "1" };

    [SkippableFact]
    public async Task PyTorch_computes_what_the_reference_computed()
    {
        string python = await RequirePyTorch();
        string program = Path.Combine(SharedData.RepositoryRoot, "test", "Microsoft.ML.Dpl.Benchmarks", "pytorch", "authors_dpl.py");
        SampleProcess.Outcome outcome = await SampleProcess.StartProgram(python, NoBytecode, program, "--check", GoldenFolder.Cases);
        Assert.True(outcome.ExitCode == 0, outcome.Output + outcome.Error);
        foreach (
            string line in new[]
            {
                ", supernet, gradients:",
                ", subnet, logits:",
                ", search, alphas by epoch:",
                ": the same as the reference",
            }
        )
            Assert.Contains(line, outcome.Output);
    }

    [SkippableFact]
    public async Task The_comparison_says_in_a_sentence_that_there_is_no_PyTorch()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "The script is for Linux.");
        SampleProcess.Outcome outcome = await SampleProcess.StartProgram(
            "bash",
            new Dictionary<string, string?> { [PythonVariable] = "/nowhere/python3" },
            Path.Combine(SharedData.RepositoryRoot, "build", "compare-with-pytorch.sh")
        );
        Assert.Equal(2, outcome.ExitCode);
        Assert.Equal(
            "'/nowhere/python3' has no PyTorch: install it (Debian: python3-torch) or set DPL_PYTHON to a python3 that has it.\n",
            outcome.Error
        );
    }

    /// <summary>A Python with PyTorch: the one that DPL_PYTHON names, else the first in the path, else the system's.</summary>
    private static async Task<string> RequirePyTorch()
    {
        string[] candidates = Environment.GetEnvironmentVariable(PythonVariable) is { Length: > 0 } named
            ? [named]
            : ["python3", "/usr/bin/python3"];
        foreach (string python in candidates)
        {
            try
            {
                if ((await SampleProcess.StartProgram(python, NoBytecode, "-c", "import torch")).ExitCode == 0)
                    return python;
            }
            catch (System.ComponentModel.Win32Exception)
            {
                // This Python is not installed; try the next one.
            }
        }
        throw new SkipException(
            $"no PyTorch for {string.Join(" or ", candidates)}: install Debian's python3-torch, or set {PythonVariable} to a python3 "
                + "that has one"
        );
    }
}
