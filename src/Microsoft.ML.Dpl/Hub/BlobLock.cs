namespace Microsoft.ML.Dpl.Hub;

/// <summary>Lets one process at a time fetch a blob. The system drops the lock when its holder ends, however it ends, so a file left behind
/// blocks nobody.</summary>
internal static class BlobLock
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <param name="path">The lock's file; it stays, because deleting it would let two processes in.</param>
    /// <param name="growing">What its holder writes.</param>
    /// <param name="timeout">How long that may stay as it is.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <exception cref="HubException">The holder does not get on.</exception>
    /// <exception cref="IOException">The file cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">Likewise.</exception>
    public static async Task<IDisposable> TakeAsync(string path, string growing, TimeSpan timeout, CancellationToken cancellation)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        long length = -1,
            since = Environment.TickCount64;
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 1);
            }
            catch (IOException e) when (IsHeld(e))
            {
                var file = new FileInfo(growing);
                long now = file.Exists ? file.Length : 0;
                if (now != length)
                    (length, since) = (now, Environment.TickCount64);
                if (Environment.TickCount64 - since > timeout.TotalMilliseconds)
                {
                    throw new HubException(
                        HubFailure.Locked,
                        $"Another process holds '{path}' and has not got on with '{growing}' for {timeout.TotalSeconds:0} s. End it, "
                            + "or wait and try again.",
                        e
                    );
                }
            }
            await Task.Delay(Pause, cancellation).ConfigureAwait(false);
        }
    }

    // ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION on Windows; elsewhere EWOULDBLOCK, which is 11 on Linux and 35 on macOS. A full disk
    // is not waited for.
    private static bool IsHeld(IOException e) => e.HResult is unchecked((int)0x80070020) or unchecked((int)0x80070021) or 11 or 35;
}
