using System.Text.RegularExpressions;
using Xunit.Abstractions;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>The order of system calls by which a checkpoint reaches the disk. It matters after a power cut, which killing the process does
/// not simulate.</summary>
public sealed partial class CheckpointDurabilityTests(SmallBackbone small, ColourImages images, ITestOutputHelper output)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>
{
    private const string Calls = "fsync,fdatasync,rename,renameat,renameat2,link,unlink,unlinkat";

    [SkippableFact]
    public async Task Its_bytes_are_on_the_disk_before_its_name_and_its_name_before_an_older_one_goes()
    {
        await RequireTracing();
        using var fits = new FitProcess(small, images);
        string workspace = fits.File("workspace"),
            traces = fits.File("trace");
        // One trace file per thread, so that no call is split in two by another thread's.
        SampleProcess.Outcome traced = await SampleProcess.StartProgram(
            "strace",
            new Dictionary<string, string?>(),
            [
                "-ff",
                "-y",
                "-s",
                "4096",
                "-e",
                $"trace={Calls}",
                "-o",
                traces,
                "dotnet",
                .. fits.Command(workspace, fits.File("model.zip"), "minutes=60", "die=20"),
            ]
        );
        Assert.Contains("Training epoch", traced.Output);
        string[] calls =
        [
            .. Directory
                .GetFiles(Path.GetDirectoryName(traces)!, "trace.*")
                .SelectMany(File.ReadLines)
                .Where(line => line.Contains(workspace, StringComparison.Ordinal) && line.EndsWith("= 0", StringComparison.Ordinal)),
        ];
        int[] renames = [.. Enumerable.Range(0, calls.Length).Where(i => Renamed().IsMatch(calls[i]))];
        // One checkpoint before every epoch: four in the search, and those of the training epochs that 20 steps reach.
        Assert.True(renames.Length >= 6, string.Join('\n', calls));
        Assert.All(renames, at =>
        {
            Assert.Matches(@"^fsync\(\d+<[^>]*/checkpoint\.partial>\)", calls[at - 1]);
            Assert.Matches($@"^fsync\(\d+<{Regex.Escape(workspace)}>\)", calls[at + 1]);
        });
        Assert.Contains(calls, call =>
            call.StartsWith("unlink", StringComparison.Ordinal) && call.Contains("/checkpoint-1.safetensors", StringComparison.Ordinal)
        );
        output.WriteLine(
            $"reliability: {renames.Length} checkpoints of a traced fit: each flushed, then renamed, then the folder flushed, then "
                + "the oldest removed"
        );
    }

    private static async Task RequireTracing()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "The system's calls are traced as on Linux.");
        try
        {
            Skip.If(
                (await SampleProcess.StartProgram("strace", new Dictionary<string, string?>(), "-o", "/dev/null", "true")).ExitCode != 0,
                "This system lets no test trace a process."
            );
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Skip.If(true, "This system has no strace command.");
        }
    }

    [GeneratedRegex(@"^rename(at2?)?\(.*/checkpoint\.partial"".*/checkpoint-\d+\.safetensors""")]
    private static partial Regex Renamed();
}
