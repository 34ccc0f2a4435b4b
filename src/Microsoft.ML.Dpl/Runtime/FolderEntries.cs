using System.Runtime.InteropServices;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// Flushes the entries of a folder. A rename changes the folder, which flushing the file does not write to disk: after a power failure the
/// file may still have its old name or be missing. On Linux, fsync(2) is called on the folder. Windows records such changes in the file
/// system's journal and has no such call for a single folder; there and elsewhere this does nothing.
/// </summary>
internal static class FolderEntries
{
    private const int ReadOnly = 0,
        CloseOnExecute = 0x80000; // O_RDONLY, O_CLOEXEC
    private const int PermissionDenied = 13,
        InvalidArgument = 22; // EACCES, EINVAL

    /// <summary>Returns once the names in the folder are on disk.</summary>
    /// <exception cref="IOException">The folder cannot be opened or flushed.</exception>
    public static void Flush(string folder)
    {
        if (!OperatingSystem.IsLinux())
            return;
        int descriptor = Open(folder, ReadOnly | CloseOnExecute);
        if (descriptor < 0)
        {
            // A folder may be writable but not readable; then its entries cannot be flushed.
            if (Marshal.GetLastPInvokeError() == PermissionDenied)
                return;
            throw Failure("opened", folder);
        }
        try
        {
            // Some network file systems do not support fsync on folders and write entries immediately.
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
