using System.Diagnostics;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tests.Hub;

namespace Microsoft.ML.Dpl.Tool.Tests.Display;

/// <summary>Ctrl-C ends every verb soon and leaves complete files; a second one ends it at once.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class InterruptionTests(DrawnData data)
{
    private const int Cancelled = 130;
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    [SkippableFact]
    public async Task In_the_search_the_choice_so_far_is_kept()
    {
        Skip.If(OperatingSystem.IsWindows(), "there are no signals");
        string model = data.File("searching.zip");
        ToolProcess.Outcome outcome = await Interrupted(
            line => line.Contains("search: epoch 1/", StringComparison.Ordinal),
            [
                "fit",
                data.Table("train"),
                "--clip",
                "tiny-drawn",
                "--output",
                model,
                "--search-epochs",
                "100000",
                "--candidates",
                "0",
                "2",
                "--batch-size",
                "8",
                "--validation-per-class",
                "1",
            ]
        );
        Assert.Equal(Cancelled, outcome.ExitCode);
        Assert.Contains("interrupt again to stop at once", outcome.Error);
        Assert.Contains("the model is the best one so far", outcome.Error);
        Assert.True(ModelInfo.Read(model).WasCancelled);
        Assert.True(File.Exists(Path.ChangeExtension(model, ".report.html")));
    }

    [SkippableFact]
    public async Task A_comparison_keeps_what_was_compared()
    {
        Skip.If(OperatingSystem.IsWindows(), "there are no signals");
        string json = data.File("part.json");
        ToolProcess.Outcome outcome = await Interrupted(
            line => line.Contains("uniform:2, training: epoch 1/", StringComparison.Ordinal),
            [
                "compare",
                data.Table("train"),
                "--test",
                data.Table("test"),
                "--clip",
                "tiny-drawn",
                "--configuration",
                "zero-shot",
                "--configuration",
                "uniform:2",
                "--json",
                json,
                "--training-epochs",
                "100000",
                "--batch-size",
                "8",
            ]
        );
        Assert.Equal(Cancelled, outcome.ExitCode);
        Assert.Contains("1 of 2 configurations were compared", outcome.Error);
        Assert.Contains("zero-shot", outcome.Output);
        Assert.Contains("\"zero-shot\"", File.ReadAllText(json));
    }

    /// <summary>A read that is waiting for input does not delay the end.</summary>
    [SkippableFact]
    public async Task In_waiting_for_paths_the_table_so_far_is_shown()
    {
        Skip.If(OperatingSystem.IsWindows(), "there are no signals");
        (await data.Fit()).Expect(0);
        string path = data.Rows("test")[0].Path;
        ToolProcess.Outcome outcome = await Interrupted(
            line => line.Contains("\"done\":1", StringComparison.Ordinal),
            ["predict", data.Model, "-", "--batch-size", "1", "--progress", "json"],
            path + "\n"
        );
        Assert.Equal(Cancelled, outcome.ExitCode);
        Assert.Contains(Path.GetFileName(path), outcome.Output);
        Assert.Contains("Cancelled after 1 images.", outcome.Error);
    }

    [SkippableFact]
    public async Task In_a_download_what_came_is_kept()
    {
        Skip.If(OperatingSystem.IsWindows(), "there are no signals");
        using var home = new TemporaryFolder();
        using var hub = new HubServer();
        using var held = new ManualResetEventSlim();
        try
        {
            foreach (string path in Directory.GetFiles(ClipBackbone.TinyDrawn.Location!))
                hub.Files[Path.GetFileName(path)] = File.ReadAllBytes(path);
            // The first download is cut off, the second gets no response.
            int asked = 0;
            hub.Change = (request, answer) =>
            {
                if (!request.AtCdn || request.Method != "GET")
                    return answer;
                if (Interlocked.Increment(ref asked) == 1)
                    return answer with { CutAfter = answer.Body.Length / 2 };
                held.Wait(Limit);
                return answer;
            };
            using Process process = ToolProcess.Start(
                [
                    "train",
                    data.Table("train"),
                    "--clip",
                    HubServer.Repository,
                    "--configuration",
                    "uniform:2",
                    "--output",
                    home.File("model.zip"),
                ],
                [
                    ("HF_HOME", home.FullPath),
                    ("HF_ENDPOINT", hub.Address.AbsoluteUri),
                    ("HF_HUB_CACHE", ""),
                    ("HF_TOKEN", ""),
                    ("HF_HUB_OFFLINE", ""),
                ]
            );
            try
            {
                using var limit = new CancellationTokenSource(Limit);
                while (Volatile.Read(ref asked) < 2)
                    await Task.Delay(20, limit.Token);
                Signals.Send(process, Signals.Interrupt);
                string error = await process.StandardError.ReadToEndAsync(limit.Token);
                await process.WaitForExitAsync(limit.Token);
                Assert.True(process.ExitCode == Cancelled, error);
                Assert.Contains("What was downloaded is kept", error);
                Assert.Contains(Directory.EnumerateFiles(home.FullPath, "*", SearchOption.AllDirectories), file =>
                    file.EndsWith(".incomplete", StringComparison.Ordinal) && new FileInfo(file).Length > 0
                );
            }
            finally
            {
                if (!process.HasExited)
                    process.Kill();
            }
        }
        finally
        {
            held.Set();
        }
    }

    /// <summary>These verbs print nothing while they work, so they are interrupted once libtorch is being loaded, which precedes everything
    /// else that takes long.</summary>
    [SkippableTheory]
    [InlineData("export", "prompts")]
    [InlineData("export", "prompts.safetensors")]
    [InlineData("onnx", "model.onnx")]
    [InlineData("onnx", "model.onnx", "--external-data")]
    public async Task A_model_that_is_written_otherwise_is_written_whole_or_not_at_all(params string[] command)
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "what a process has loaded is read from /proc");
        (await data.Fit()).Expect(0);
        // On a busy machine the command may finish before this test sees that libtorch was loaded.
        for (int tries = 1; !await EndsInterrupted(command); tries++)
            Assert.True(tries < 20, "The command was never caught while it worked.");
    }

    /// <returns>False if the command ended before it could be interrupted.</returns>
    private async Task<bool> EndsInterrupted(string[] command)
    {
        using var folder = new TemporaryFolder();
        using Process process = ToolProcess.Start([command[0], data.Model, "--output", folder.File(command[1]), .. command[2..]]);
        try
        {
            using var limit = new CancellationTokenSource(Limit);
            Task<string> output = process.StandardOutput.ReadToEndAsync(limit.Token),
                error = process.StandardError.ReadToEndAsync(limit.Token);
            while (!HasLoaded(process, "libtorch_cpu"))
            {
                if (process.HasExited)
                    return process.ExitCode == 0 ? false : throw new InvalidOperationException(await output + await error);
                await Task.Delay(5, limit.Token);
            }
            Signals.Send(process, Signals.Interrupt);
            await process.WaitForExitAsync(limit.Token);
            if (process.ExitCode == 0)
                return false;
            Assert.True(process.ExitCode == Cancelled, await output + await error);
            Assert.EndsWith("Cancelled.\n", await error);
            Assert.Empty(await output);
            Assert.Empty(Directory.GetFileSystemEntries(folder.FullPath));
            return true;
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }

    private static bool HasLoaded(Process process, string library)
    {
        try
        {
            return File.ReadAllText($"/proc/{process.Id}/maps").Contains(library, StringComparison.Ordinal);
        }
        catch (IOException)
        {
            // The process has ended meanwhile.
            return false;
        }
    }

    [SkippableFact]
    public async Task A_second_one_ends_at_once()
    {
        Skip.If(OperatingSystem.IsWindows(), "there are no signals");
        string model = data.File("twice.zip");
        // Several times, because an exit that collides with running workers fails only sometimes.
        for (int i = 0; i < 4; i++)
        {
            ToolProcess.Outcome outcome = await Interrupted(
                line => line.Contains("training: epoch 1/", StringComparison.Ordinal),
                [
                    "train",
                    data.Table("train"),
                    "--clip",
                    "tiny-drawn",
                    "--configuration",
                    "uniform:2",
                    "--output",
                    model,
                    "--training-epochs",
                    "100000",
                    "--batch-size",
                    "24",
                ],
                times: 2
            );
            Assert.Equal(Cancelled, outcome.ExitCode);
        }
        Assert.DoesNotContain(Directory.GetFiles(data.Folder), path => path.EndsWith(".partial", StringComparison.Ordinal));
    }

    /// <summary>timeout(1) sends the signal to its child and then to the child's process group.</summary>
    [SkippableFact]
    public async Task A_request_to_end_that_comes_twice_keeps_the_best_so_far()
    {
        Skip.If(OperatingSystem.IsWindows(), "there are no signals");
        string model = data.File("terminated.zip");
        ToolProcess.Outcome outcome = await Interrupted(
            line => line.Contains("training: epoch 1/", StringComparison.Ordinal),
            [
                .. new[] { "train", data.Table("train"), "--clip", "tiny-drawn", "--configuration", "uniform:2" },
                .. new[] { "--output", model, "--training-epochs", "100000", "--batch-size", "8" },
            ],
            times: 2,
            signal: Signals.Terminate
        );
        Assert.Equal(Cancelled, outcome.ExitCode);
        Assert.Contains("the model is the best one so far", outcome.Error);
        Assert.True(ModelInfo.Read(model).WasCancelled);
    }

    /// <summary>Runs the command until its error stream has a given line, and then interrupts it.</summary>
    private static async Task<ToolProcess.Outcome> Interrupted(
        Func<string, bool> isTime,
        string[] arguments,
        string? input = null,
        int times = 1,
        int signal = Signals.Interrupt
    )
    {
        using Process process = ToolProcess.Start(arguments);
        try
        {
            using var limit = new CancellationTokenSource(Limit);
            Task<string> output = process.StandardOutput.ReadToEndAsync(limit.Token);
            // The input is not closed.
            if (input is not null)
            {
                await process.StandardInput.WriteAsync(input);
                await process.StandardInput.FlushAsync(limit.Token);
            }
            var said = new List<string>();
            do said.Add(
                await process.StandardError.ReadLineAsync(limit.Token) ?? throw new InvalidOperationException(string.Join('\n', said))
            );
            while (!isTime(said[^1]));
            for (int i = 0; i < times; i++)
            {
                // Two signals in quick succession would be delivered as one.
                if (i > 0)
                    await Task.Delay(100, limit.Token);
                if (!process.HasExited)
                    Signals.Send(process, signal);
            }
            said.Add(await process.StandardError.ReadToEndAsync(limit.Token));
            await process.WaitForExitAsync(limit.Token);
            return new ToolProcess.Outcome(process.ExitCode, await output, string.Join('\n', said));
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }
}
