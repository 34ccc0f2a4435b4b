using System.Runtime.InteropServices;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// The folder for files that can be recreated: one of this library in the user's cache, or a per-user one in the temporary folder if the
/// cache cannot be written. Since libraries are loaded from it, other users must neither be able to write to it nor have created it.
/// </summary>
internal static class CacheFolders
{
    private const string Name = "Microsoft.ML.Dpl";

    /// <summary>Creates a file or folder in the first usable cache folder.</summary>
    /// <param name="make">Creates the file or folder inside an existing folder; throws <see cref="IOException"/> or
    /// <see cref="UnauthorizedAccessException"/> if that is not writable.</param>
    /// <exception cref="IOException">No cache folder can be used; the message says why.</exception>
    public static T InFirstWritable<T>(Func<string, T> make) => InFirstWritable(Candidates(), make);

    /// <param name="candidates">Full paths of folders, in order of preference.</param>
    /// <param name="make">Creates the file or folder inside an existing folder; throws <see cref="IOException"/> or
    /// <see cref="UnauthorizedAccessException"/> if that is not writable.</param>
    /// <inheritdoc cref="InFirstWritable{T}(Func{string, T})"/>
    internal static T InFirstWritable<T>(IEnumerable<string> candidates, Func<string, T> make)
    {
        var refusals = new List<Exception>();
        foreach (string folder in candidates)
        {
            try
            {
                MakeOwn(folder);
                return make(folder);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                refusals.Add(e); // a read-only home is common in containers: try the next folder
            }
        }
        throw new IOException(
            "Neither the user's cache nor the temporary folder can be used: "
                + $"{string.Join(" ", refusals.Select(e => ShownText.Escape(e.Message)))} Set XDG_CACHE_HOME to a usable folder.",
            new AggregateException(refusals)
        );
    }

    private static IEnumerable<string> Candidates()
    {
        if (Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache)
            yield return Path.Combine(Path.GetFullPath(cache), Name);
        if (OperatingSystem.IsWindows())
            yield return Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData), Name);
        else if (Environment.GetFolderPath(Environment.SpecialFolder.UserProfile) is { Length: > 0 } home)
            yield return Path.Combine(home, ".cache", Name);
        // One per user, so that a process with a read-only home does not leave a new folder at every start.
        yield return Path.Combine(Path.GetTempPath(), OperatingSystem.IsWindows() ? Name : $"{Name}-{FileOwner.Self()}");
    }

    private static void MakeOwn(string folder)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(folder);
            return;
        }
        const UnixFileMode mine = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        Directory.CreateDirectory(folder, mine);
        if (new DirectoryInfo(folder).LinkTarget is not null)
            throw new IOException($"'{folder}' is a link, which another user may have created.");
        if (FileOwner.Get(folder) is { } owner && owner != FileOwner.Self())
            throw new IOException($"'{folder}' belongs to another user ({owner}).");
        // A folder that existed before may be open to others. Only its owner can change the mode.
        if (File.GetUnixFileMode(folder) != mine)
            File.SetUnixFileMode(folder, mine);
    }
}

/// <summary>Determines the owners of files.</summary>
internal static class FileOwner
{
    private const int AtWorkingFolder = -100,
        NoFollow = 0x100;
    private const uint AskForOwner = 0x8; // AT_FDCWD, AT_SYMLINK_NOFOLLOW, STATX_UID
    private const int OwnerOffset = 20; // offset of stx_uid

    /// <summary>The user id of this process; not available on Windows.</summary>
    public static uint Self() => GetEffectiveUser();

    /// <summary>The user id of a file's owner, for a link that of the link itself; null where the system cannot tell.</summary>
    public static uint? Get(string path)
    {
        if (!OperatingSystem.IsLinux())
            return null;
        byte[] answer = new byte[256];
        try
        {
            return Statx(AtWorkingFolder, path, NoFollow, AskForOwner, answer) == 0 ? BitConverter.ToUInt32(answer, OwnerOffset) : null;
        }
        catch (EntryPointNotFoundException)
        {
            return null; // an older C library
        }
    }

    [DllImport("libc", EntryPoint = "geteuid")]
    private static extern uint GetEffectiveUser();

    [DllImport("libc", EntryPoint = "statx")]
    private static extern int Statx(
        int folder,
        [MarshalAs(UnmanagedType.LPUTF8Str)] string path,
        int flags,
        uint mask,
        [Out] byte[] answer
    );
}
