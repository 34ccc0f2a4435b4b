using System.Runtime.InteropServices;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// A rename changes a folder, and flushing the file does not flush that: after a power cut the file may be there under its old name, or not
/// at all. On Linux the folder is flushed too: fsync(2). Windows keeps such changes in the file system's journal and has no call for one
/// folder; elsewhere this does nothing.
/// </summary>
internal static class FolderEntries
{
    private const int ReadOnly = 0,
        CloseOnExecute = 0x80000; // O_RDONLY, O_CLOEXEC
    private const int PermissionDenied = 13,
        InvalidArgument = 22; // EACCES, EINVAL

    /// <summary>Returns once the names in the folder are on the disk.</summary>
    /// <exception cref="IOException">The disk refuses.</exception>
    public static void Flush(string folder)
    {
        if (!OperatingSystem.IsLinux())
            return;
        int descriptor = Open(folder, ReadOnly | CloseOnExecute);
        if (descriptor < 0)
        {
            // A folder may be writable and not readable; then this process cannot flush its entries.
            if (Marshal.GetLastPInvokeError() == PermissionDenied)
                return;
            throw Failure("opened", folder);
        }
        try
        {
            // Some network file systems know no fsync of folders and keep entries at once.
            if (Synchronize(descriptor) != 0 && Marshal.GetLastPInvokeError() != InvalidArgument)
                throw Failure("flushed to the disk", folder);
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    private static IOException Failure(string what, string folder) =>
        new($"The folder '{folder}' could not be {what}: {Marshal.GetLastPInvokeErrorMessage()}.");

    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    private static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static extern int Synchronize(int descriptor);

    [DllImport("libc", EntryPoint = "close")]
    private static extern int Close(int descriptor);
}
