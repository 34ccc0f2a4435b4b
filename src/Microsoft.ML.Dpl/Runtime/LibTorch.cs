using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using TorchSharp;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// Loads the native libraries once, before the first tensor. On Linux with an older libstdc++ (Debian 12, Ubuntu 22.04, RHEL 9),
/// TorchSharp's shim requires a symbol version that none of its relocations uses; in that case a copy with this requirement marked as weak
/// is loaded instead.
/// </summary>
internal static class LibTorch
{
    /// <summary>
    /// Environment variable with the folder of another libtorch, such as <c>torch/lib</c> of an installed PyTorch (Linux).
    /// </summary>
    public const string FolderVariable = "DPL_LIBTORCH";

    private const string Shim = "libLibTorchSharp.so";

    /// <summary>The libtorch version that the referenced TorchSharp was built against.</summary>
    private const string BuiltFor = "2.10";

    private static readonly Lazy<string> Loaded = new(Load);

    /// <summary>Loads libtorch and its shim on the first call; later calls return at once.</summary>
    /// <returns>One sentence for the log: what was loaded and from where.</returns>
    /// <exception cref="DllNotFoundException">The application references no libtorch package; the message names the one to add.</exception>
    public static string EnsureLoaded() => Loaded.Value;

    /// <summary>
    /// Whether libtorch is where applications have it, or the environment variable is set; determined without loading anything.
    /// </summary>
    public static bool IsAtHand =>
        Loaded.IsValueCreated
        || !string.IsNullOrWhiteSpace(Environment.GetEnvironmentVariable(FolderVariable))
        || NativeFolders().Any(folder => File.Exists(Path.Combine(folder, CpuLibraryName)));

    private static string CpuLibraryName =>
        OperatingSystem.IsWindows() ? "torch_cpu.dll"
        : OperatingSystem.IsMacOS() ? "libtorch_cpu.dylib"
        : "libtorch_cpu.so";

    /// <summary>Handle of the library with the CPU operations; null if it was not loaded by path.</summary>
    public static nint? CpuLibrary { get; private set; }

    private static string Load()
    {
        try
        {
            string how = OperatingSystem.IsLinux() ? LoadOnLinux() : "libtorch loaded by TorchSharp";
            torch.TryInitializeDeviceType(DeviceType.CPU);
            using (torch.NewDisposeScope())
                torch.zeros(1).Dispose();
            return how;
        }
        catch (DllNotFoundException e) when (e.Message.StartsWith(FolderVariable, StringComparison.Ordinal))
        {
            throw;
        }
        catch (Exception e)
            when (e is DllNotFoundException or NotSupportedException or TypeInitializationException or EntryPointNotFoundException)
        {
            throw new DllNotFoundException(
                OperatingSystem.IsLinux()
                && Environment.GetEnvironmentVariable(FolderVariable) is { } asked
                && !string.IsNullOrWhiteSpace(asked)
                    ? WrongVersionMessage(asked, e)
                    : MissingMessage(),
                e
            );
        }
    }

    private static string LoadOnLinux()
    {
        string? asked = Environment.GetEnvironmentVariable(FolderVariable);
        if (!string.IsNullOrWhiteSpace(asked) && !File.Exists(Path.Combine(asked, "libtorch_cpu.so")))
            throw new DllNotFoundException(
                $"{FolderVariable} is '{asked}', but there is no libtorch_cpu.so. Set it to a folder with libtorch's libraries, such as "
                    + "torch/lib of an installed PyTorch, or unset it."
            );
        string? own = NativeFolders().FirstOrDefault(f => File.Exists(Path.Combine(f, "libtorch_cpu.so")));
        // TorchSharp loads the application's own libtorch by path, and two in one process crash it.
        if (!string.IsNullOrWhiteSpace(asked) && own is not null)
            throw new DllNotFoundException(
                $"{FolderVariable} is set, but the application brings a libtorch of its own in {own}. Build it without one (no libtorch "
                    + $"package; in this repository -p:LibTorch=none), or unset {FolderVariable}."
            );
        string? folder = string.IsNullOrWhiteSpace(asked) ? own : Path.GetFullPath(asked);
        string? shimFolder = NativeFolders().FirstOrDefault(f => File.Exists(Path.Combine(f, Shim)));
        if (folder is null || shimFolder is null)
            throw new DllNotFoundException(MissingMessage());

        // Loaded by absolute path first, so that the shim's dependencies resolve by SONAME wherever the shim is.
        bool cuda = File.Exists(Path.Combine(folder, "libtorch_cuda.so"));
        string[] libraries = cuda
            ? ["libc10.so", "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so", "libtorch.so"]
            : ["libtorch_cpu.so", "libtorch.so"];
        foreach (string library in libraries)
        {
            nint handle = NativeLibrary.Load(Path.Combine(folder, library));
            if (library == "libtorch_cpu.so")
                CpuLibrary = handle;
        }

        string shim = Path.Combine(shimFolder, Shim);
        if (NativeLibrary.TryLoad(shim, out _))
            return $"libtorch loaded from {folder}";
        string copy = WeakenedCopy(shim);
        NativeLibrary.Load(copy);
        return $"libtorch loaded from {folder}; this system's libstdc++ is older than TorchSharp's build requires, so a copy of {Shim} "
            + $"without that requirement was loaded from {copy}";
    }

    /// <summary>
    /// The folders that the host probes for native libraries: the application's, its runtimes/ sub-folder, and those of NuGet packages.
    /// </summary>
    private static IEnumerable<string> NativeFolders()
    {
        string bundled = (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string) ?? "";
        string application = AppContext.BaseDirectory;
        return bundled
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Prepend(Path.Combine(application, "runtimes", RuntimeInformation.RuntimeIdentifier, "native"))
            .Prepend(Path.Combine(application, "runtimes", "linux-x64", "native"))
            .Prepend(application)
            .Distinct();
    }

    private static string WeakenedCopy(string shim)
    {
        byte[] bytes = File.ReadAllBytes(shim);
        string hash = Sha256.Compute(bytes)[..16];
        if (ElfVersionNeeds.Weaken(bytes, "GLIBCXX_3.4.", firstWeak: 31) == 0)
            NativeLibrary.Load(shim); // the cause is a different one, which the loader's exception names

        return CacheFolders.InFirstWritable(root => KeepCopy(Path.Combine(root, hash), bytes));
    }

    /// <summary>
    /// Writes the copy of the shim to a folder of the cache. An existing copy is used only if it has exactly these bytes, since it is
    /// loaded into the process.
    /// </summary>
    /// <param name="folder">The folder, created if it is missing.</param>
    /// <param name="shim">The content of the library.</param>
    /// <returns>The path of the copy.</returns>
    /// <exception cref="IOException">The folder cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder cannot be written.</exception>
    internal static string KeepCopy(string folder, byte[] shim)
    {
        string copy = Path.Combine(folder, Shim);
        if (File.Exists(copy) && File.ReadAllBytes(copy).AsSpan().SequenceEqual(shim))
            return copy;
        WholeFile.Write(copy, file => file.Write(shim));
        return copy;
    }

    private static string WrongVersionMessage(string folder, Exception reason) =>
        $"The libtorch in {folder} ({FolderVariable}) could not be loaded together with TorchSharp "
        + $"{typeof(torch).Assembly.GetName().Version?.ToString(3)}, which asks for libtorch {BuiltFor}: {reason.Message}";

    private static string MissingMessage()
    {
        string package =
            OperatingSystem.IsWindows() ? "libtorch-cpu-win-x64"
            : OperatingSystem.IsMacOS() ? "libtorch-cpu-osx-arm64"
            : "libtorch-cpu-linux-x64";
        return $"libtorch was not found beside the application: add the NuGet package {package} (or "
            + $"TorchSharp-cuda-{(OperatingSystem.IsWindows() ? "windows" : "linux")} for a GPU) to the application's project.";
    }
}

/// <summary>
/// Marks symbol-version requirements of a 64-bit little-endian ELF library as weak, so that the dynamic loader accepts an older library.
/// Layout: System V ABI (program headers, dynamic section) and the symbol versioning of the Linux Standard Base (<c>Elf64_Verneed</c>,
/// <c>Elf64_Vernaux</c>).
/// </summary>
internal static class ElfVersionNeeds
{
    private const uint LoadSegment = 1,
        DynamicSegment = 2;
    private const ulong StringTable = 5,
        VersionNeeded = 0x6ffffffe,
        VersionNeededCount = 0x6fffffff;
    private const ushort WeakFlag = 2;

    /// <summary>Sets VER_FLG_WEAK on every required version <c>prefix + n</c> with n ≥ <paramref name="firstWeak"/>.</summary>
    /// <returns>Number of entries marked.</returns>
    /// <exception cref="InvalidDataException">The bytes are not an ELF64 library or a table points outside it.</exception>
    public static int Weaken(Span<byte> library, string prefix, int firstWeak)
    {
        try
        {
            return WeakenChecked(library, prefix, firstWeak);
        }
        catch (ArgumentOutOfRangeException)
        {
            throw new InvalidDataException("ELF: a table points outside the file.");
        }
    }

    private static int WeakenChecked(Span<byte> elf, string prefix, int firstWeak)
    {
        if (elf.Length < 64 || UInt32(elf, 0) != 0x464c457f || elf[4] != 2 || elf[5] != 1)
            throw new InvalidDataException("ELF: not a 64-bit little-endian library.");

        var segments = new List<(ulong Address, ulong Offset, ulong Size)>();
        long dynamicStart = 0,
            dynamicEnd = 0;
        long header = (long)UInt64(elf, 0x20);
        for (int i = 0; i < UInt16(elf, 0x38); i++, header += UInt16(elf, 0x36))
        {
            uint type = UInt32(elf, header);
            if (type == LoadSegment)
                segments.Add((UInt64(elf, header + 16), UInt64(elf, header + 8), UInt64(elf, header + 32)));
            if (type == DynamicSegment)
                (dynamicStart, dynamicEnd) = ((long)UInt64(elf, header + 8), (long)(UInt64(elf, header + 8) + UInt64(elf, header + 32)));
        }

        ulong needs = 0,
            needCount = 0,
            strings = 0;
        for (long entry = dynamicStart; entry < dynamicEnd; entry += 16)
        {
            ulong tag = UInt64(elf, entry),
                value = UInt64(elf, entry + 8);
            if (tag == VersionNeeded)
                needs = value;
            else if (tag == VersionNeededCount)
                needCount = value;
            else if (tag == StringTable)
                strings = value;
        }
        if (needCount == 0)
            return 0;

        long names = FileOffset(segments, strings),
            need = FileOffset(segments, needs);
        int marked = 0;
        for (ulong i = 0; i < needCount; i++, need += UInt32(elf, need + 12))
        {
            long version = need + UInt32(elf, need + 8);
            for (int k = UInt16(elf, need + 2); k > 0; k--, version += UInt32(elf, version + 12))
            {
                if (!IsFrom(Name(elf, names + UInt32(elf, version + 8)), prefix, firstWeak))
                    continue;
                Span<byte> flags = elf.Slice(checked((int)version + 4), 2);
                BinaryPrimitives.WriteUInt16LittleEndian(flags, (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(flags) | WeakFlag));
                marked++;
            }
        }
        return marked;
    }

    private static bool IsFrom(string name, string prefix, int first) =>
        name.StartsWith(prefix, StringComparison.Ordinal) && int.TryParse(name.AsSpan(prefix.Length), out int minor) && minor >= first;

    private static long FileOffset(List<(ulong Address, ulong Offset, ulong Size)> segments, ulong address)
    {
        foreach (var (start, offset, size) in segments)
            if (address >= start && address < start + size)
                return (long)(address - start + offset);
        throw new InvalidDataException("ELF: an address lies outside all segments.");
    }

    private static string Name(ReadOnlySpan<byte> elf, long offset)
    {
        ReadOnlySpan<byte> rest = elf[checked((int)offset)..];
        int end = rest.IndexOf((byte)0);
        return Encoding.ASCII.GetString(end < 0 ? rest : rest[..end]);
    }

    private static ulong UInt64(ReadOnlySpan<byte> s, long offset) =>
        BinaryPrimitives.ReadUInt64LittleEndian(s.Slice(checked((int)offset), 8));

    private static uint UInt32(ReadOnlySpan<byte> s, long offset) =>
        BinaryPrimitives.ReadUInt32LittleEndian(s.Slice(checked((int)offset), 4));

    private static ushort UInt16(ReadOnlySpan<byte> s, long offset) =>
        BinaryPrimitives.ReadUInt16LittleEndian(s.Slice(checked((int)offset), 2));
}
