using System.Runtime.InteropServices;
using System.Security.Cryptography;
using TorchSharp;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// Loads the native libraries once, before the first tensor. On Linux with an older libstdc++ (Debian 12, Ubuntu 22.04, RHEL 9)
/// TorchSharp's shim asks for a symbol version that no relocation uses; a copy with that requirement marked weak is then loaded instead.
/// </summary>
internal static class LibTorch
{
    /// <summary>Environment variable that names the folder of another libtorch, such as <c>torch/lib</c> of an installed PyTorch (Linux).</summary>
    public const string FolderVariable = "DPL_LIBTORCH";

    private const string Shim = "libLibTorchSharp.so";

    /// <summary>The libtorch that the TorchSharp referenced here was built against.</summary>
    private const string BuiltFor = "2.10";

    private static readonly Lazy<string> Loaded = new(Load);

    /// <summary>Loads libtorch and its shim on the first call; later calls cost nothing.</summary>
    /// <returns>One sentence for the log: what was loaded and from where.</returns>
    /// <exception cref="DllNotFoundException">No libtorch package is referenced by the application; the message names the one to add.</exception>
    public static string EnsureLoaded() => Loaded.Value;

    /// <summary>Handle of the library with the CPU's operations; null where it was not loaded by path.</summary>
    public static nint? CpuLibrary { get; private set; }

    private static string Load()
    {
        try
        {
            string how = OperatingSystem.IsLinux() ? LoadOnLinux() : "libtorch loaded by TorchSharp";
            torch.TryInitializeDeviceType(DeviceType.CPU);
            using (torch.NewDisposeScope()) torch.zeros(1).Dispose();
            return how;
        }
        catch (DllNotFoundException e) when (e.Message.StartsWith(FolderVariable, StringComparison.Ordinal))
        {
            throw;
        }
        catch (Exception e) when (e is DllNotFoundException or NotSupportedException or TypeInitializationException or EntryPointNotFoundException)
        {
            throw new DllNotFoundException(OperatingSystem.IsLinux() && Environment.GetEnvironmentVariable(FolderVariable) is { } asked && !string.IsNullOrWhiteSpace(asked) ? WrongVersionMessage(asked, e) : MissingMessage(), e);
        }
    }

    private static string LoadOnLinux()
    {
        string? asked = Environment.GetEnvironmentVariable(FolderVariable);
        if (!string.IsNullOrWhiteSpace(asked) && !File.Exists(Path.Combine(asked, "libtorch_cpu.so")))
            throw new DllNotFoundException($"{FolderVariable} is '{asked}', but there is no libtorch_cpu.so. It must name a folder with libtorch's libraries, such as torch/lib of an installed PyTorch, or not be set.");
        string? own = NativeFolders().FirstOrDefault(f => File.Exists(Path.Combine(f, "libtorch_cpu.so")));
        // TorchSharp loads the application's own by path, and two in one process end it.
        if (!string.IsNullOrWhiteSpace(asked) && own is not null)
            throw new DllNotFoundException($"{FolderVariable} is set, but the application brings a libtorch of its own in {own}. Build it without one (no libtorch package; in this repository -p:LibTorch=none), or do not set {FolderVariable}.");
        string? folder = string.IsNullOrWhiteSpace(asked) ? own : Path.GetFullPath(asked);
        string? shimFolder = NativeFolders().FirstOrDefault(f => File.Exists(Path.Combine(f, Shim)));
        if (folder is null || shimFolder is null) throw new DllNotFoundException(MissingMessage());

        // Loaded by absolute path first, so that the shim's dependencies resolve by SONAME wherever it lies.
        bool cuda = File.Exists(Path.Combine(folder, "libtorch_cuda.so"));
        string[] libraries = cuda ? ["libc10.so", "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so", "libtorch.so"] : ["libtorch_cpu.so", "libtorch.so"];
        foreach (string library in libraries)
        {
            nint handle = NativeLibrary.Load(Path.Combine(folder, library));
            if (library == "libtorch_cpu.so") CpuLibrary = handle;
        }

        string shim = Path.Combine(shimFolder, Shim);
        if (NativeLibrary.TryLoad(shim, out _)) return $"libtorch loaded from {folder}";
        string copy = WeakenedCopy(shim);
        NativeLibrary.Load(copy);
        return $"libtorch loaded from {folder}; this system's libstdc++ is older than TorchSharp's build asks for, so a copy of {Shim} without that requirement was loaded from {copy}";
    }

    /// <summary>Folders the host probes for native libraries: the application's, its runtimes/ sub-folder, and those of NuGet packages.</summary>
    private static IEnumerable<string> NativeFolders()
    {
        string bundled = (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string) ?? "";
        string application = AppContext.BaseDirectory;
        return bundled.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Prepend(Path.Combine(application, "runtimes", RuntimeInformation.RuntimeIdentifier, "native"))
            .Prepend(Path.Combine(application, "runtimes", "linux-x64", "native"))
            .Prepend(application)
            .Distinct();
    }

    private static string WeakenedCopy(string shim)
    {
        byte[] bytes = File.ReadAllBytes(shim);
        string hash = Convert.ToHexString(SHA256.HashData(bytes))[..16].ToLowerInvariant();
        if (ElfVersionNeeds.Weaken(bytes, "GLIBCXX_3.4.", firstWeak: 31) == 0) NativeLibrary.Load(shim); // some other cause: let the loader say which

        return CacheFolders.InFirstWritable(root => Kept(Path.Combine(root, hash), bytes));
    }

    /// <summary>
    /// The shim's copy in a folder of the cache. One that is there is taken only where it has these very bytes,
    /// since it is loaded into the process.
    /// </summary>
    /// <param name="folder">Made where it is missing.</param>
    /// <param name="shim">The library.</param>
    /// <returns>The copy's path.</returns>
    /// <exception cref="IOException">The folder cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">Likewise.</exception>
    internal static string Kept(string folder, byte[] shim)
    {
        string copy = Path.Combine(folder, Shim);
        if (File.Exists(copy) && File.ReadAllBytes(copy).AsSpan().SequenceEqual(shim)) return copy;
        Directory.CreateDirectory(folder);
        string partial = $"{copy}.{Environment.ProcessId}";
        File.WriteAllBytes(partial, shim);
        File.Move(partial, copy, overwrite: true);
        return copy;
    }

    private static string WrongVersionMessage(string folder, Exception reason)
        => $"The libtorch in {folder} ({FolderVariable}) could not be loaded together with TorchSharp {typeof(torch).Assembly.GetName().Version?.ToString(3)}, which asks for libtorch {BuiltFor}: {reason.Message}";

    private static string MissingMessage()
    {
        string package = OperatingSystem.IsWindows() ? "libtorch-cpu-win-x64" : OperatingSystem.IsMacOS() ? "libtorch-cpu-osx-arm64" : "libtorch-cpu-linux-x64";
        return $"libtorch was not found beside the application: add the NuGet package {package} (or TorchSharp-cuda-{(OperatingSystem.IsWindows() ? "windows" : "linux")} for a GPU) to the application's project.";
    }
}
