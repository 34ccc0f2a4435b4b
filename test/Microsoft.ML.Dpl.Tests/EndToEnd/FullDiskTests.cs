using Xunit.Abstractions;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Real disks that fill up or cannot be written, where the system lets a test mount one: in a namespace of its own, which ends
/// with the process.</summary>
public sealed class FullDiskTests(SmallBackbone small, ColourImages images, ITestOutputHelper output)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>
{
    [SkippableFact]
    [Trait("Category", "Slow")]
    public async Task A_disk_that_fills_up_loses_nothing()
    {
        await RequireMounts();
        using var fits = new FitProcess(small, images);
        string workspace = fits.File("workspace"),
            zip = fits.File("model.zip");
        FitProcess.Outcome expected = await fits.Run(FitHost.NoWorkspace, fits.File("whole.zip"));
        // Full from step 6 on; killed at step 14; the second fit goes on from where the disk became full, on a disk with space again.
        SampleProcess.Outcome outcome = await Sh(
            $"""
            mount -t tmpfs -o size=8m tmpfs {workspace} || exit 3
            {Quoted(fits.Command(workspace, zip, "fill=6-99", "die=14"))}
            echo "killed: $?"
            rm {workspace}/filler
            ls {workspace}
            {Quoted(fits.Command(workspace, zip, "fill=3-9"))}
            echo "ended: $?"
            ls {workspace}
            """,
            workspace
        );
        Assert.True(
            outcome.Output.Contains("killed: 137", StringComparison.Ordinal)
                && outcome.Output.Contains("ended: 0", StringComparison.Ordinal),
            outcome.Output + outcome.Error
        );
        string[] lines = outcome.Output.Split('\n');
        int killed = Array.IndexOf(lines, "killed: 137");
        Assert.Equal(["checkpoint-5.safetensors", "checkpoint-6.safetensors", "workspace.lock"], lines[(killed + 1)..(killed + 4)]);
        // 8 steps without space, then 6.
        Assert.Equal(
            14,
            outcome.Error.Split('\n').Count(line => line.Contains("No checkpoint could be written", StringComparison.Ordinal))
        );
        Assert.StartsWith("Search epoch 2/4 step 3/3:", lines[killed + 4]);
        Assert.Equal(expected, FitProcess.Outcome.Of(zip));
        output.WriteLine(
            "reliability: a disk without space for 8 steps, then a kill, then without space for 6 more: 14 warnings, no checkpoint "
                + "lost, the bits of an uninterrupted fit"
        );
        Assert.Equal(["workspace.lock", ""], lines[(Array.IndexOf(lines, "ended: 0") + 1)..]);
    }

    [SkippableFact]
    public async Task A_disk_that_is_too_small_or_read_only_is_refused_at_once()
    {
        await RequireMounts();
        await Refused("size=512k", "has 2 MiB of free space");
        await Refused("ro", "must be a folder that can be written");
    }

    private async Task Refused(string mountOptions, string said)
    {
        using var fits = new FitProcess(small, images);
        string workspace = fits.File("workspace"),
            zip = fits.File("model.zip");
        SampleProcess.Outcome outcome = await Sh(
            $"mount -t tmpfs -o {mountOptions} tmpfs {workspace} || exit 3\nexec {Quoted(fits.Command(workspace, zip))}",
            workspace
        );
        Assert.NotEqual(0, outcome.ExitCode);
        Assert.Contains(said, outcome.Error);
        Assert.Contains($"The workspace '{workspace}' cannot be used", outcome.Error);
        Assert.Equal("", outcome.Output);
        Assert.False(File.Exists(zip));
    }

    /// <summary>A limit on the size of files, as a quota sets it, is like a disk that is too small.</summary>
    [SkippableFact]
    public async Task A_limit_on_file_sizes_is_refused_at_once()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "The limit is set by a Linux shell.");
        using var fits = new FitProcess(small, images);
        string workspace = fits.File("workspace");
        // In blocks of 512 bytes; the signal that goes with the limit would end the process. The runtime's own maps are files too, unless
        // it is told to do without.
        SampleProcess.Outcome outcome = await SampleProcess.StartProgram(
            "sh",
            Quiet,
            "-c",
            $"trap '' XFSZ; ulimit -f 512; exec {Quoted(fits.Command(workspace, fits.File("model.zip")))}"
        );
        Assert.NotEqual(0, outcome.ExitCode);
        Assert.Contains($"The workspace '{workspace}' cannot be used", outcome.Error);
        Assert.Contains("a limit on the size of files", outcome.Error);
        Assert.Empty(Directory.GetFiles(workspace, "checkpoint*"));
    }

    /// <summary>What the guide warns of: ML.NET opens the file that is there for writing before it knows whether there is space.</summary>
    [SkippableTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Saved_whole_a_model_leaves_a_good_zip_alone_where_there_is_no_space(bool whole)
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "The limit is set by a Linux shell.");
        using var fits = new FitProcess(small, images);
        string zip = fits.File("model.zip"),
            command = Quoted(fits.Command(FitHost.NoWorkspace, zip, whole ? ["save=whole"] : []));
        // Two blocks of 512 bytes, which no model's zip fits into.
        byte[] good = [.. Enumerable.Range(0, 700).Select(i => (byte)i)];
        File.WriteAllBytes(zip, good);
        SampleProcess.Outcome outcome = await SampleProcess.StartProgram("sh", Quiet, "-c", $"trap '' XFSZ; ulimit -f 2; exec {command}");
        Assert.NotEqual(0, outcome.ExitCode);
        Assert.Equal(whole, good.SequenceEqual(File.ReadAllBytes(zip)));
        Assert.True(whole == outcome.Error.Contains($"The model could not be saved as '{zip}':", StringComparison.Ordinal), outcome.Error);
        Assert.Empty(Directory.GetFiles(Path.GetDirectoryName(zip)!, "*.partial"));
    }

    private static readonly Dictionary<string, string?> Quiet = new() { ["DOTNET_EnableWriteXorExecute"] = "0" };

    private static async Task RequireMounts()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "Disks are mounted as on Linux.");
        string folder = Directory.CreateTempSubdirectory("dpl-test-").FullName;
        try
        {
            Skip.If(
                (await Sh($"mount -t tmpfs -o size=64k tmpfs {folder}", folder)).ExitCode != 0,
                "This system lets no test mount a disk of its own."
            );
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Skip.If(true, "This system has no unshare command.");
        }
        finally
        {
            Directory.Delete(folder);
        }
    }

    /// <summary>A shell script whose mounts nobody else sees.</summary>
    private static Task<SampleProcess.Outcome> Sh(string script, string folder)
    {
        Directory.CreateDirectory(folder);
        return SampleProcess.StartProgram("unshare", Quiet, "--mount", "sh", "-c", script);
    }

    private static string Quoted(string[] command) => string.Join(' ', command.Prepend("dotnet").Select(word => $"'{word}'"));
}
