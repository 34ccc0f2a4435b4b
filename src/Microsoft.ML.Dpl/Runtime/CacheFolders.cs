using System.Runtime.InteropServices;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>The place for files that can be made again: a folder of this library in the user's cache, or one for the user in the temporary
/// folder where the cache cannot be written. Others can neither write there nor have made it: libraries are loaded from it.</summary>
internal static class CacheFolders
{
    private const string Name = "Microsoft.ML.Dpl";

    /// <summary>Makes a file or folder in the first folder that can be used.</summary>
    /// <param name="make">The maker of the file or folder, given an existing folder; it throws <see cref="IOException"/> or
    /// <see cref="UnauthorizedAccessException"/> where that is not writable.</param>
    /// <exception cref="IOException">No folder can be used; the message says why.</exception>
    public static T InFirstWritable<T>(Func<string, T> make) => InFirstWritable(Candidates(), make);

    /// <param name="candidates">Full paths of folders, the best first.</param>
    /// <param name="make">As above.</param>
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
                refusals.Add(e); // a read-only home is common in containers: the next place is tried
            }
        }
        throw new IOException(
            "Neither the user's cache nor the temporary folder can be used: "
                + $"{string.Join(" ", refusals.Select(e => ShownText.Escape(e.Message)))} Set XDG_CACHE_HOME to a folder that can.",
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
        // One for each user, so that a process with a read-only home leaves no new one at every start.
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
            throw new IOException($"'{folder}' is a link, which someone else may have made.");
        if (FileOwner.Get(folder) is { } owner && owner != FileOwner.Self())
            throw new IOException($"'{folder}' belongs to another user ({owner}).");
        // One that was there may be open to others. Only its owner may do this.
        if (File.GetUnixFileMode(folder) != mine)
            File.SetUnixFileMode(folder, mine);
    }
}

/// <summary>To whom files belong.</summary>
internal static class FileOwner
{
    private const int AtWorkingFolder = -100,
        NoFollow = 0x100;
    private const uint AskForOwner = 0x8; // AT_FDCWD, AT_SYMLINK_NOFOLLOW, STATX_UID
    private const int OwnerOffset = 20; // of stx_uid

    /// <summary>The number of this process's user, which is not Windows'.</summary>
    public static uint Self() => GetEffectiveUser();

    /// <summary>The number of a file's owner, of a link's own; null where the system has no such question.</summary>
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
