using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Dpl.Runtime;
using Xunit.Abstractions;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>A process that is killed repeatedly in the middle of a fit.</summary>
public sealed class KilledFitTests(SmallBackbone small, ColourImages images, ITestOutputHelper output)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>
{
    /// <summary>Environment variable: the number of kills at random moments, instead of a few. The kills of
    /// <see cref="A_killed_fit_goes_on_to_the_same_bits"/> come on top.</summary>
    public const string KillsVariable = "DPL_KILLS";

    private const int FewKills = 2,
        MostKillsOfOneFit = 100,
        LongestDelay = 60;

    [Fact]
    [Trait("Category", "Slow")]
    public async Task A_killed_fit_goes_on_to_the_same_bits()
    {
        using var fits = new FitProcess(small, images);
        string zip = fits.File("model.zip"),
            workspace = fits.File("workspace");
        string expected;
        var mlContext = new MLContext(1);
        using (DplTransformer transformer = ResumableFit.Fit(mlContext, ResumableFit.Options(small.Backbone, null), images.Train))
            expected = ResumableFit.Content(mlContext, transformer);

        string? first = null,
            later = null;
        foreach (int steps in (int[])[5, 4, 7])
        {
            // It waits for the kill, which on a busy machine may come later than the end of so short a fit.
            string line = await fits.RunUntil(steps, TimeSpan.Zero, workspace, zip, $"pause={steps}")
                ?? throw new InvalidOperationException("The fit ended before it was killed.");
            first ??= line;
            later = line;
            Assert.False(File.Exists(zip));
        }
        Assert.StartsWith("Search epoch 2/", first);
        Assert.StartsWith("Training epoch", later);
        Assert.Equal(expected, (await fits.Run(workspace, zip)).Content);
        Assert.DoesNotContain(Directory.GetFiles(workspace), path => path.Contains("checkpoint", StringComparison.Ordinal));
    }

    /// <summary>
    /// The moments are drawn from a seeded generator. Most lie some steps ahead, then up to 60 ms into the next step or the writing of its
    /// checkpoint; the others lie anywhere between the start and the end of the process. The fits alternate between one thread and three:
    /// three workers share a step, and the sum of their gradients depends on the order.
    /// </summary>
    [Fact]
    [Trait("Category", "Slow")]
    public async Task Killed_at_random_moments_it_ends_in_the_same_bits()
    {
        string? asked = Environment.GetEnvironmentVariable(KillsVariable);
        int kills = string.IsNullOrEmpty(asked) ? FewKills : int.Parse(asked, CultureInfo.InvariantCulture),
            done = 0,
            courses = 0,
            inSearch = 0,
            inTraining = 0,
            partial = 0;
        using FitProcess one = new(small, images, threads: 1),
            three = new(small, images, threads: 3);
        long began = Stopwatch.GetTimestamp();
        FitProcess.Outcome ofOne = await one.Run(FitHost.NoWorkspace, one.File("whole.zip"));
        TimeSpan whole = Stopwatch.GetElapsedTime(began);
        FitProcess.Outcome ofThree = await three.Run(FitHost.NoWorkspace, three.File("whole.zip"));
        Random random = Seeds.Random(2025, "kills");
        while (done < kills)
        {
            (FitProcess fits, FitProcess.Outcome expected) = ++courses % 2 == 1 ? (three, ofThree) : (one, ofOne);
            string zip = fits.File($"model-{courses}.zip"),
                workspace = fits.File($"workspace-{courses}");
            // Either a checkpoint after every step, or only one before every epoch.
            string minutes = random.Next(4) > 0 ? "minutes=1e-8" : "minutes=60";
            for (int killed = 0; done < kills; killed++)
            {
                Assert.True(killed < MostKillsOfOneFit, "the fit does not get on");
                string? line =
                    random.Next(4) > 0
                        ? await fits.RunUntil(
                            1 + random.Next(8),
                            TimeSpan.FromMilliseconds(random.NextDouble() * LongestDelay),
                            workspace,
                            zip,
                            minutes
                        )
                        : await fits.RunFor(random.NextDouble() * whole, workspace, zip, minutes);
                if (line is null)
                    break;
                done++;
                if (line.StartsWith("Search", StringComparison.Ordinal))
                    inSearch++;
                if (line.StartsWith("Training", StringComparison.Ordinal))
                    inTraining++;
                if (line.Length > 0 && File.Exists(Path.Combine(workspace, "checkpoint.partial")))
                    partial++;
                if (Directory.Exists(workspace))
                    Assert.InRange(Directory.GetFiles(workspace, "checkpoint-*.safetensors").Length, 0, 3);
            }
            Assert.Equal(expected, await fits.Run(workspace, zip, minutes));
        }
        output.WriteLine(
            $"reliability: {done} kills of {courses} fits, {inSearch} in the search, {inTraining} in training and "
                + $"{done - inSearch - inTraining} before a process's first step, {partial} of all while a checkpoint was being "
                + "written; all ended in the bits of an uninterrupted fit"
        );
        Assert.Equal(kills, done);
        if (kills >= 10)
            Assert.True(inSearch > 0 && inTraining > 0, $"{inSearch} kills in the search, {inTraining} in training");
    }

    [Fact]
    public async Task A_workspace_that_another_process_uses_is_refused()
    {
        using var fits = new FitProcess(small, images);
        string workspace = fits.File("workspace"),
            zip = fits.File("model.zip");
        DplTrainer.Options options = ResumableFit.Options(small.Backbone, workspace);
        var mlContext = new MLContext(1);
        string? last = await fits.RunUntil(
            2,
            () =>
            {
                string message = Assert.Throws<IOException>(() => ResumableFit.Fit(mlContext, options, images.Train)).Message;
                Assert.Contains("one fit at a time", message);
                Assert.Contains(workspace, message);
                return Task.CompletedTask;
            },
            workspace,
            zip,
            "pause=2"
        );
        Assert.StartsWith("Search epoch 1/", last);
        Assert.True(File.Exists(Path.Combine(workspace, "checkpoint-2.safetensors")));
        // The killed process no longer holds the workspace's lock.
        using DplTransformer transformer = ResumableFit.Fit(mlContext, options, images.Train);
        Assert.False(transformer.WasCancelled);
    }
}
