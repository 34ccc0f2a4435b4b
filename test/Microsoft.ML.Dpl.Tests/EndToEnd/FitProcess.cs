using System.Buffers.Binary;
using System.Diagnostics;
using Microsoft.ML.Dpl.Tests.Clip;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Fits of <see cref="FitHost"/> in processes of their own, over the same pictures.</summary>
internal sealed class FitProcess : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _clip;

    public FitProcess(SmallBackbone small, ColourPictures pictures)
    {
        _clip = small.Folder;
        System.IO.File.WriteAllLines(Table, pictures.Train.Select(row => $"{row.ImagePath}\t{row.Label}"));
    }

    private string Table => _folder.File("train.tsv");

    public string File(string name) => _folder.File(name);

    public void Dispose() => _folder.Dispose();

    /// <summary>The command line of such a fit.</summary>
    public string[] Command(string workspace, string zip, params string[] more) => [typeof(FitHost).Assembly.Location, _clip, Table, workspace, zip, .. more];

    /// <summary>Starts a fit and kills it without warning: that long after it has said so many steps.</summary>
    /// <returns>The last step's line; null where the fit ended before.</returns>
    public Task<string?> RunUntil(int steps, TimeSpan delay, string workspace, string zip, params string[] more)
        => RunUntil(steps, () => Task.Delay(delay), workspace, zip, more);

    /// <summary>Starts a fit, does something once it has said so many steps, and kills it.</summary>
    /// <inheritdoc cref="RunUntil(int, TimeSpan, string, string, string[])"/>
    public async Task<string?> RunUntil(int steps, Func<Task> then, string workspace, string zip, params string[] more)
    {
        var start = new ProcessStartInfo("dotnet", Command(workspace, zip, more)) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        using Process process = Process.Start(start)!;
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(5));
        try
        {
            Task<string> errors = process.StandardError.ReadToEndAsync(limit.Token);
            for (int seen = 1; await process.StandardOutput.ReadLineAsync(limit.Token) is { } line; seen++)
            {
                if (seen != steps) continue;
                await then();
                return line;
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

    /// <summary>Runs a fit to its end.</summary>
    public async Task<Outcome> Run(string workspace, string zip, params string[] more)
    {
        Assert.Null(await RunUntil(int.MaxValue, TimeSpan.Zero, workspace, zip, more));
        return Outcome.Of(zip);
    }

    /// <summary>What a fit came to.</summary>
    /// <param name="Content">Prompts, class features, alphas and losses.</param>
    /// <param name="Scores">Predictions of the training rows, as hexadecimal digits.</param>
    /// <param name="Zip">SHA-256 of the zip's bytes without the time of day at which ML.NET wrote each entry.</param>
    internal sealed record Outcome(string Content, string Scores, string Zip)
    {
        public static Outcome Of(string zip)
        {
            using FileStream saved = System.IO.File.OpenRead(zip);
            return new Outcome(ResumableFit.Content(saved), Convert.ToHexString(System.IO.File.ReadAllBytes(FitHost.ScoresOf(zip))), WithoutTimes(System.IO.File.ReadAllBytes(zip)));
        }

        private static string WithoutTimes(byte[] zip)
        {
            // The end record is 22 bytes, without a comment; it says how many entries there are and where their headers begin.
            int end = zip.Length - 22;
            Assert.Equal(0x06054b50u, BinaryPrimitives.ReadUInt32LittleEndian(zip.AsSpan(end)));
            int entries = BinaryPrimitives.ReadUInt16LittleEndian(zip.AsSpan(end + 10)), header = BinaryPrimitives.ReadInt32LittleEndian(zip.AsSpan(end + 16));
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
