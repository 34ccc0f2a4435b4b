using Microsoft.ML.Dpl.Tests;

namespace Microsoft.ML.Dpl.Tool.Tests.Studies;

/// <summary>What is submitted to a scheduler; build/check-slurm.sh runs it with a real Slurm.</summary>
public sealed class StudySubmitTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _plan;

    public StudySubmitTests()
    {
        _plan = _folder.File("plan.json");
        File.WriteAllText(
            _plan,
            """
            { "clip": "tiny-drawn", "threads": 3, "protocol": "few-shot", "seeds": [1, 2], "methods": ["default"],
              "dataSets": [{ "name": "own", "train": "t.tsv" }] }
            """
        );
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Kubernetes_gets_an_indexed_job_with_the_number_of_its_tasks()
    {
        string job = (
            await ToolProcess.Run(
                "study",
                "submit",
                _plan,
                "--kubernetes",
                "--tasks",
                "2",
                "--image",
                "registry/dpl:1",
                "--claim",
                "mine",
                "--data",
                "/data"
            )
        )
            .Expect(0)
            .Output;
        Assert.Contains("completionMode: Indexed", job);
        Assert.Contains("completions: 2", job);
        Assert.Contains("name: JOB_COMPLETIONS\n              value: \"2\"", job);
        Assert.Contains(
            $"command: [\"dpl\", \"study\", \"{_plan}\", \"--output\", \"{_folder.File("plan.results")}\", "
                + "\"--data\", \"/data\", \"--jobs\", \"1\"",
            job
        );
        Assert.Contains("image: \"registry/dpl:1\"", job);
        Assert.Contains("claimName: \"mine\"", job);
        Assert.Contains("cpu: \"3\"", job);
    }

    [Fact]
    public async Task Slurm_gets_an_array_and_a_table_job_behind_it()
    {
        // A fake sbatch that records its arguments.
        string sbatch = _folder.File("sbatch"),
            calls = _folder.File("calls"),
            results = _folder.File("results of 100%");
        File.WriteAllText(sbatch, $"#!/bin/sh\necho \"$@\" >> '{calls}'\necho '7;cluster'\n");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(sbatch, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        // There are no more array tasks than runs.
        ToolProcess.Outcome outcome = await ToolProcess.Run(
            null,
            ["study", "submit", _plan, "--output", results, "--slurm", "--tasks", "40", "--sbatch=--partition=gpu"],
            ("PATH", $"{_folder.FullPath}:{Environment.GetEnvironmentVariable("PATH")}")
        );
        outcome.Expect(0);
        Assert.Equal("7 7", outcome.Output.Trim());
        Assert.Equal(
            [$"--parsable {results}/study.sbatch", $"--parsable --dependency=afterany:7 {results}/table.sbatch"],
            File.ReadAllLines(calls)
        );
        string array = File.ReadAllText(Path.Combine(results, "study.sbatch"));
        Assert.StartsWith("#!/bin/bash\n#SBATCH", array, StringComparison.Ordinal);
        Assert.Contains("#SBATCH --array=0-1\n#SBATCH --cpus-per-task=3\n", array);
        Assert.Contains("#SBATCH --partition=gpu\n", array);
        // sbatch ends an option at an unquoted space, and reads a percent sign as a placeholder.
        Assert.Contains($"#SBATCH --output=\"{_folder.File("results of 100%%")}/slurm-%A_%a.log\"\n", array);
        Assert.Contains($"'study' '{_plan}' '--output' '{results}' '--jobs' '1'", array);
        Assert.Contains("\"${SLURM_RESTART_COUNT:-0}\" -lt 3", array);
        Assert.Contains($"'study' 'table' '{results}'", File.ReadAllText(Path.Combine(results, "table.sbatch")));
    }

    [Fact]
    public async Task What_cannot_be_submitted_is_told()
    {
        Assert.Contains(
            "Give either --slurm or --kubernetes.",
            (await ToolProcess.Run("study", "submit", _plan, "--tasks", "2")).Expect(2).Error
        );
        Assert.Contains(
            "--tasks must be at least 1",
            (await ToolProcess.Run("study", "submit", _plan, "--slurm", "--tasks", "0")).Expect(2).Error
        );
    }
}
