using System.Diagnostics;
using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Studies.Plan;
using Microsoft.ML.Dpl.Tool.Studies.Runs;

namespace Microsoft.ML.Dpl.Tool.Tests.Studies;

/// <summary>Worker processes that die in the middle of a run.</summary>
public sealed class StudyJobsTests : IDisposable
{
    private const int Runs = 6;

    private readonly TemporaryFolder _folder = new();
    private readonly StudyPlan _plan;
    private readonly StudyFolder _results;

    public StudyJobsTests()
    {
        string file = _folder.File("plan.json");
        File.WriteAllText(
            file,
            """
            { "clip": "tiny-drawn", "protocol": "few-shot", "seeds": [1, 2, 3, 4, 5, 6], "methods": ["default"],
              "dataSets": [{ "name": "own", "train": "t.tsv", "test": "t.tsv" }] }
            """
        );
        File.WriteAllText(_folder.File("t.tsv"), "ImagePath\tLabel\n");
        _plan = StudyPlan.Read(file);
        Assert.Equal(Runs, _plan.Runs.Count);
        _results = new StudyFolder(_folder.File("results"));
    }

    public void Dispose() => _folder.Dispose();

    [SkippableTheory]
    [InlineData(1, 0)]
    [InlineData(2, 1)]
    public void A_process_that_dies_costs_its_run_one_more_attempt_and_the_others_nothing(int deaths, int failed)
    {
        Skip.If(OperatingSystem.IsWindows(), "The processes of this test are shell scripts.");
        var progress = new StudyProgress(ProgressMode.None, bar: null, jobs: 2, done: [], _plan.Runs);
        new StudyJobs(_plan, _results, progress, CancellationToken.None).SideBySide([0, 1, 2, 3, 4, 5], jobs: 2, () => Dying(deaths));
        Assert.Equal(failed, progress.Failed);
        // The third run is attempted twice in either case; it fails if its process dies both times.
        Assert.Equal(2, Asked("2"));
        Assert.All(["0", "1", "3", "4", "5"], place => Assert.Equal(1, Asked(place)));
    }

    /// <summary>A worker that does every run, but is killed at the third run for the first <paramref name="deaths"/> attempts.</summary>
    private ProcessStartInfo Dying(int deaths)
    {
        foreach (StudyRun run in _plan.Runs)
            _results.Write(run, Result(run));
        string script = $$"""
            while read -r place; do
              echo "$place" >> asked
              if [ "$place" = 2 ] && [ "$(grep -c '^2$' asked)" -le {{deaths}} ]; then kill -9 $$; fi
              sleep 0.1
              echo "{\"run\": $place}"
            done
            """;
        return new ProcessStartInfo("/bin/sh", ["-c", script]) { WorkingDirectory = _folder.FullPath };
    }

    private int Asked(string place) => File.ReadLines(_folder.File("asked")).Count(line => line == place);

    private static RunResult Result(StudyRun run) =>
        new(
            RunResult.CurrentForm,
            "few-shot",
            "own",
            run.Shots,
            run.Seed,
            run.Method.Name,
            run.Method.Text,
            new RunSettings("tiny-drawn", "", "cpu", 1, "{}", "own", ""),
            true,
            1,
            0,
            [new TestFigures("own", 2, 4, 3, 0.5)],
            1,
            null,
            null,
            1,
            1,
            []
        );
}
