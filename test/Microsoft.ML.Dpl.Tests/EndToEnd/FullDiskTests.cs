using Xunit.Abstractions;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Real disks that fill up or cannot be written, on systems that let a test mount one: in a mount namespace of its own, which ends
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
        // The first fit runs with a full disk from step 6 on and is killed at step 14. The second one resumes from the last checkpoint
        // written before that, and runs with a full disk from step 3 to step 9.
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
        // 8 steps without space, then 6 more.
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

    /// <summary>A limit on file sizes, as set by a quota, acts like a disk that is too small.</summary>
    [SkippableFact]
    public async Task A_limit_on_file_sizes_is_refused_at_once()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "The limit is set by a Linux shell.");
        using var fits = new FitProcess(small, images);
        string workspace = fits.File("workspace");
        // The limit is in blocks of 512 bytes. SIGXFSZ, which is sent at the limit, would end the process. The runtime's own memory maps
        // are files too, unless it is configured not to use them.
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

    /// <summary>As the guide warns, ML.NET's own Save truncates an existing file before it knows whether there is space; <c>SaveWhole</c>
    /// does not.</summary>
    [SkippableTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Saved_whole_a_model_leaves_a_good_zip_alone_where_there_is_no_space(bool whole)
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "The limit is set by a Linux shell.");
        using var fits = new FitProcess(small, images);
        string zip = fits.File("model.zip"),
            command = Quoted(fits.Command(FitHost.NoWorkspace, zip, whole ? ["save=whole"] : []));
        // The limit is two blocks of 512 bytes, too small for any model zip.
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

    /// <summary>Runs a shell script in a mount namespace of its own, so that its mounts are not visible outside.</summary>
    private static Task<SampleProcess.Outcome> Sh(string script, string folder)
    {
        Directory.CreateDirectory(folder);
        return SampleProcess.StartProgram("unshare", Quiet, "--mount", "sh", "-c", script);
    }

    private static string Quoted(string[] command) => string.Join(' ', command.Prepend("dotnet").Select(word => $"'{word}'"));
}
