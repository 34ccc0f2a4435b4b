using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Runs fits by <see cref="FitHost"/> in separate processes, over the same images.</summary>
internal sealed class FitProcess : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    private readonly TemporaryFolder _folder = new();
    private readonly string _clip;
    private readonly int? _threads;

    /// <param name="small">The CLIP to fit.</param>
    /// <param name="images">The training images.</param>
    /// <param name="threads">The number of libtorch's threads in these processes; null: libtorch's default.</param>
    public FitProcess(SmallBackbone small, ColourImages images, int? threads = null)
    {
        (_clip, _threads) = (small.Folder, threads);
        System.IO.File.WriteAllLines(Table, images.Train.Select(row => $"{row.ImagePath}\t{row.Label}"));
    }

    private string Table => _folder.File("train.tsv");

    public string File(string name) => _folder.File(name);

    public void Dispose() => _folder.Dispose();

    /// <summary>The command line of a fit by <see cref="FitHost"/>.</summary>
    public string[] Command(string workspace, string zip, params string[] more) =>
        [
            typeof(FitHost).Assembly.Location,
            _clip,
            Table,
            workspace,
            zip,
            .. more,
            .. _threads is int threads ? [$"threads={threads.ToString(CultureInfo.InvariantCulture)}"] : Array.Empty<string>(),
        ];

    /// <summary>Starts a fit and kills it without warning <paramref name="delay"/> after it has reported <paramref name="steps"/>
    /// steps.</summary>
    /// <returns>The last step's line; null if the fit ended first.</returns>
    public Task<string?> RunUntil(int steps, TimeSpan delay, string workspace, string zip, params string[] more) =>
        RunUntil(steps, () => Task.Delay(delay), workspace, zip, more);

    /// <summary>Starts a fit, runs <paramref name="then"/> once it has reported <paramref name="steps"/> steps, and kills it.</summary>
    /// <inheritdoc cref="RunUntil(int, TimeSpan, string, string, string[])"/>
    public async Task<string?> RunUntil(int steps, Func<Task> then, string workspace, string zip, params string[] more)
    {
        using Process process = Start(workspace, zip, more);
        using var limit = new CancellationTokenSource(Limit);
        try
        {
            Task<string> errors = process.StandardError.ReadToEndAsync(limit.Token);
            string? last = null;
            for (int seen = 1; seen <= steps && await process.StandardOutput.ReadLineAsync(limit.Token) is { } line; seen++)
                last = seen == steps ? line : null;
            if (last is not null)
            {
                await then();
                // If the fit has ended in the meantime, there is nothing left to kill.
                if (!process.HasExited)
                    return last;
            }
            await process.WaitForExitAsync(limit.Token);
            Assert.True(process.ExitCode == 0, await errors);
            return null;
        }
        finally
        {
            process.Kill();
            process.WaitForExit();
        }
    }

    /// <summary>Starts a fit and kills it without warning <paramref name="time"/> after its process started, possibly before the first
    /// step.</summary>
    /// <returns>The last step's line, empty if there was none; null if the fit ended first.</returns>
    public async Task<string?> RunFor(TimeSpan time, string workspace, string zip, params string[] more)
    {
        using Process process = Start(workspace, zip, more);
        Task<string> lines = process.StandardOutput.ReadToEndAsync(),
            errors = process.StandardError.ReadToEndAsync();
        bool ended = process.WaitForExit(time);
        process.Kill();
        process.WaitForExit();
        if (!ended)
            return (await lines).Split('\n', StringSplitOptions.RemoveEmptyEntries).LastOrDefault() ?? "";
        Assert.True(process.ExitCode == 0, await errors);
        return null;
    }

    /// <summary>Runs a fit to completion.</summary>
    public async Task<Outcome> Run(string workspace, string zip, params string[] more)
    {
        Assert.Null(await RunUntil(int.MaxValue, TimeSpan.Zero, workspace, zip, more));
        return Outcome.Of(zip);
    }

    private Process Start(string workspace, string zip, string[] more)
    {
        var start = new ProcessStartInfo("dotnet", Command(workspace, zip, more))
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        return Process.Start(start)!;
    }

    /// <summary>The result of a fit.</summary>
    /// <param name="Content">Prompts, class features, alphas and losses.</param>
    /// <param name="Scores">Predictions of the training rows, as hexadecimal digits.</param>
    /// <param name="Zip">SHA-256 of the zip's bytes without the entries' timestamps, which ML.NET sets to the current time.</param>
    internal sealed record Outcome(string Content, string Scores, string Zip)
    {
        public static Outcome Of(string zip)
        {
            using FileStream saved = System.IO.File.OpenRead(zip);
            return new Outcome(
                ResumableFit.Content(saved),
                Convert.ToHexString(System.IO.File.ReadAllBytes(FitHost.ScoresOf(zip))),
                WithoutTimes(System.IO.File.ReadAllBytes(zip))
            );
        }

        private static string WithoutTimes(byte[] zip)
        {
            // The end record, 22 bytes as there is no comment, gives the number of entries and the offset of their headers.
            int end = zip.Length - 22;
            Assert.Equal(0x06054b50u, BinaryPrimitives.ReadUInt32LittleEndian(zip.AsSpan(end)));
            int entries = BinaryPrimitives.ReadUInt16LittleEndian(zip.AsSpan(end + 10)),
                header = BinaryPrimitives.ReadInt32LittleEndian(zip.AsSpan(end + 16));
            Assert.True(entries > 0);
            for (int i = 0; i < entries; i++)
            {
                Assert.Equal(0x02014b50u, BinaryPrimitives.ReadUInt32LittleEndian(zip.AsSpan(header)));
                zip.AsSpan(header + 12, 4).Clear();
                int local = BinaryPrimitives.ReadInt32LittleEndian(zip.AsSpan(header + 42));
                Assert.Equal(0x04034b50u, BinaryPrimitives.ReadUInt32LittleEndian(zip.AsSpan(local)));
                zip.AsSpan(local + 10, 4).Clear();
                header += 46 + new[] { 28, 30, 32 }.Sum(field => BinaryPrimitives.ReadUInt16LittleEndian(zip.AsSpan(header + field)));
            }
            return Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(zip));
        }
    }
}
