using System.Reflection;

namespace Microsoft.ML.Dpl.Tool;

/// <summary>
/// Tells the library which libtorch to load on Linux: the one in a folder of the tool's package or, in a build from source, the one in
/// NuGet's package folder. The environment variable <c>DPL_LIBTORCH</c> takes precedence over both if the user has set it.
/// </summary>
internal static class LibTorchFolder
{
    private const string Variable = "DPL_LIBTORCH",
        Carried = "libtorch",
        Package = "LibTorchPackage",
        Library = "libtorch_cpu.so";

    public static void Choose()
    {
        if (!OperatingSystem.IsLinux() || !string.IsNullOrWhiteSpace(Environment.GetEnvironmentVariable(Variable)))
            return;
        string? package = typeof(LibTorchFolder)
            .Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            .FirstOrDefault(attribute => attribute.Key == Package)
            ?.Value;
        // Built with libtorch in the default location, or without libtorch.
        if (package is null)
            return;
        string packages = Environment.GetEnvironmentVariable("NUGET_PACKAGES") is { Length: > 0 } chosen
            ? chosen
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        string[] folders =
        [
            Path.Combine(AppContext.BaseDirectory, Carried),
            Path.Combine(packages, package, "runtimes", "linux-x64", "native"),
        ];
        if (folders.FirstOrDefault(folder => File.Exists(Path.Combine(folder, Library))) is { } found)
            Environment.SetEnvironmentVariable(Variable, found);
    }
}
