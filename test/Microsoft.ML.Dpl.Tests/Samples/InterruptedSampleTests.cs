using System.Diagnostics;
using System.Text;
using Microsoft.ML.Dpl.Tests.EndToEnd;

namespace Microsoft.ML.Dpl.Tests.Samples;

/// <summary>Signals end the samples as they end the dpl command: the first keeps what there is, the second ends at once, and neither shows
/// a stack trace.</summary>
public sealed class InterruptedSampleTests(SmallBackbone small, ColourImages images)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>,
        IDisposable
{
    private const int Interrupted = 130;
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>timeout(1) signals its child and then the child's process group, so the signal arrives twice.</summary>
    [SkippableFact]
    public async Task QuickStart_saves_the_best_so_far_where_a_request_to_end_comes_twice()
    {
        Skip.If(OperatingSystem.IsWindows(), "there are no signals");
        string zip = _folder.File("quickstart.zip");
        using var sample = new RunningSample(
            "QuickStart",
            [
                .. new[] { "--clip", small.Folder, "--train", Table("train", images.Train), "--test", Table("test", images.Test) },
                .. new[] { "--output", zip, "--training-epochs", "1000", "--candidates", "0", "2", "--batch", "4" },
            ]
        );
        // Not at once: there is nothing to keep before the first epoch has ended.
        await sample.Says("uniform, length 2, training: epoch 10");
        sample.Send(Signals.Terminate);
        sample.Send(Signals.Terminate);
        await sample.EndsWith(Interrupted);
        Assert.Contains("Cancelled. The best there was by then is saved as", sample.Output);
        Assert.True(ModelInfo.Read(zip).WasCancelled);
    }

    [SkippableFact]
    public async Task ModelBuilder_saves_the_best_so_far()
    {
        Skip.If(OperatingSystem.IsWindows(), "there are no signals");
        string zip = _folder.File("modelbuilder.zip");
        using var sample = new RunningSample(
            "ModelBuilder",
            [
                .. new[] { "--clip", small.Folder, "--output", zip, "--batch", "4" },
                .. new[] { "--search-epochs", "0", "--training-epochs", "100000" },
            ]
        );
        await sample.Says("Training epoch 1/");
        sample.Send(Signals.Interrupt);
        await sample.EndsWith(Interrupted);
        Assert.Contains("the best there was when it was cancelled.", sample.Output);
        Assert.True(ModelInfo.Read(zip).WasCancelled);
    }

    /// <summary>After cancellation the sample evaluates for a long time, which leaves time for a second request.</summary>
    [SkippableFact]
    public async Task A_second_request_ends_PretrainTinyClip_at_once()
    {
        Skip.If(OperatingSystem.IsWindows(), "there are no signals");
        using var sample = new RunningSample(
            "PretrainTinyClip",
            [
                .. new[] { "--output", _folder.FullPath, "--steps", "100000", "--batch", "8", "--report-every", "1" },
                .. new[] { "--image-size", "32", "--patch-size", "8", "--width", "64", "--layers", "1" },
                .. new[] { "--text-width", "64", "--text-layers", "1", "--evaluation-images", "200000" },
            ]
        );
        await sample.Says(" step 1 ");
        sample.Send(Signals.Terminate);
        await sample.Says("interrupt again to stop at once");
        // A signal that follows at once counts as the same request; a later one is a second request.
        sample.Send(Signals.Terminate);
        using (var limit = new CancellationTokenSource(Limit))
            while (!File.Exists(_folder.File("model.safetensors")))
                await Task.Delay(20, limit.Token);
        await Task.Delay(TimeSpan.FromSeconds(1.2));
        Assert.False(sample.HasExited);
        sample.Send(Signals.Terminate);
        await sample.EndsWith(Interrupted);
        Assert.False(File.Exists(_folder.File("evaluation.json")));
    }

    private string Table(string name, IEnumerable<LabelledImage> rows)
    {
        string path = _folder.File($"{name}.tsv");
        File.WriteAllLines(path, rows.Select(r => $"{r.ImagePath}\t{r.Label}").Prepend("ImagePath\tLabel"));
        return path;
    }

    /// <summary>A sample as a process; both its output streams are read as they arrive.</summary>
    private sealed class RunningSample : IDisposable
    {
        private readonly Process _process;
        private readonly StringBuilder _said = new();

        public RunningSample(string sample, string[] arguments)
        {
            var start = new ProcessStartInfo("dotnet", [SampleProcess.ProgramOf(sample), .. arguments])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                UseShellExecute = false,
            };
            start.Environment.Remove("DPL_CLIP");
            _process = Process.Start(start)!;
            _process.OutputDataReceived += (_, line) => Add(line.Data);
            _process.ErrorDataReceived += (_, line) => Add(line.Data);
            _process.BeginOutputReadLine();
            _process.BeginErrorReadLine();
        }

        public bool HasExited => _process.HasExited;

        /// <summary>Both streams without line breaks, because a console of unknown width may break lines anywhere.</summary>
        public string Output
        {
            get
            {
                lock (_said)
                    return _said.ToString().ReplaceLineEndings(" ");
            }
        }

        public void Send(int signal) => Signals.Send(_process, signal);

        public async Task Says(string text)
        {
            using var limit = new CancellationTokenSource(Limit);
            while (!Output.Contains(text, StringComparison.Ordinal))
            {
                Assert.False(_process.HasExited, Output);
                await Task.Delay(20, limit.Token);
            }
        }

        public async Task EndsWith(int exitCode)
        {
            await _process.WaitForExitAsync().WaitAsync(Limit);
            Assert.True(_process.ExitCode == exitCode, $"exit code {_process.ExitCode}: {Output}");
            Assert.DoesNotContain("   at ", Output);
            Assert.DoesNotContain("Unhandled exception", Output);
        }

        public void Dispose()
        {
            if (!_process.HasExited)
                _process.Kill(entireProcessTree: true);
            _process.Dispose();
        }

        private void Add(string? line)
        {
            lock (_said)
                _said.AppendLine(line);
        }
    }
}
