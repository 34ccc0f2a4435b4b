using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.EndToEnd;

namespace Microsoft.ML.Dpl.Tests.Runtime;

/// <summary>Uses another libtorch than the package's, in a separate process because a process can load only one.</summary>
public class LibTorchFolderTests
{
    private static readonly string Model = Path.Combine(SharedData.RepositoryRoot, "src", "Microsoft.ML.Dpl.TinyClip", "model");

    [SkippableFact]
    public async Task An_application_without_libtorch_runs_on_the_one_that_the_environment_names()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "Only Linux loads libtorch by path.");
        using var application = new TemporaryFolder();
        using var libTorch = new TemporaryFolder();
        DirectoryInfo built = new(Path.GetDirectoryName(SampleProcess.ProgramOf("PretrainTinyClip"))!);
        // Without its .deps.json the host uses whatever is in the folder, as in a build without libtorch.
        foreach (FileInfo file in built.GetFiles().Where(f => !f.Name.EndsWith(".deps.json", StringComparison.Ordinal)))
            file.CopyTo(application.File(file.Name));
        foreach (FileInfo file in new DirectoryInfo(Path.Combine(built.FullName, "runtimes", "linux-x64", "native")).GetFiles("*.so*"))
        {
            if (
                file.Name.StartsWith("libSkia", StringComparison.Ordinal)
                || file.Name.StartsWith("libLibTorchSharp", StringComparison.Ordinal)
            )
                file.CopyTo(application.File(file.Name));
            else
                File.CreateSymbolicLink(libTorch.File(file.Name), file.FullName);
        }
        SampleProcess.Outcome outcome = await SampleProcess.Start(
            application.File("PretrainTinyClip.dll"),
            Variables(libTorch.FullPath),
            Arguments
        );
        Assert.True(outcome.ExitCode == 0, outcome.Output + outcome.Error);
        Assert.Contains(
            $"libtorch loaded from{libTorch.FullPath}",
            outcome.Output.ReplaceLineEndings("").Replace(" /", "/", StringComparison.Ordinal)
        );
    }

    [SkippableFact]
    public async Task A_folder_without_libtorch_and_an_application_that_has_one_are_refused_by_name()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "Only Linux loads libtorch by path.");
        using var empty = new TemporaryFolder();
        SampleProcess.Outcome nothing = await SampleProcess.Run("PretrainTinyClip", Variables(empty.FullPath), Arguments);
        Assert.Equal(1, nothing.ExitCode);
        Assert.Contains("there is no libtorch_cpu.so", nothing.Output.ReplaceLineEndings(" "));
        File.WriteAllText(empty.File("libtorch_cpu.so"), "");
        SampleProcess.Outcome two = await SampleProcess.Run("PretrainTinyClip", Variables(empty.FullPath), Arguments);
        Assert.Equal(1, two.ExitCode);
        Assert.Contains("-p:LibTorch=none", two.Output.ReplaceLineEndings(" "));
        Assert.DoesNotContain("   at ", nothing.Output + nothing.Error + two.Output + two.Error);
    }

    private static string[] Arguments => ["--evaluate", Model, "--evaluation-images", "8"];

    private static Dictionary<string, string?> Variables(string folder) => new() { [LibTorch.FolderVariable] = folder };
}
