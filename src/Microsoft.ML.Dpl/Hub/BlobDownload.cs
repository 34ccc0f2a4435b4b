using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Dpl.Hub;

/// <summary>Downloads one file into the cache: resumes an earlier attempt, checks length and hash, and only then gives the blob its name
/// and adds a link to the snapshot.</summary>
internal sealed class BlobDownload
{
    private const int Chunk = 1 << 17;
    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(100);

    private readonly HubClient _client;
    private readonly HubCache _cache;
    private readonly HubOptions _options;
    private readonly Func<string, long?> _room;
    private readonly Func<string, FileStream> _open;

    /// <param name="client">The hub's client.</param>
    /// <param name="cache">The repository's part of the cache.</param>
    /// <param name="options">Supplies the progress callback and the lock timeout.</param>
    /// <param name="room">Returns a folder's free disk space in bytes, or null if unknown; null to ask the system.</param>
    /// <param name="open">Opens the unfinished file, keeping its content; null for an unbuffered stream.</param>
    public BlobDownload(
        HubClient client,
        HubCache cache,
        HubOptions options,
        Func<string, long?>? room = null,
        Func<string, FileStream>? open = null
    ) => (_client, _cache, _options, _room, _open) = (client, cache, options, room ?? FreeBytes, open ?? Open);

    /// <summary>Fetches a file; downloads nothing if the content is already there with the right length.</summary>
    /// <returns>The file's path in the snapshot.</returns>
    /// <exception cref="HubException">The download failed; the message says why. Received data is kept unless it was wrong.</exception>
    public async Task<string> FetchAsync(HubFile file, CancellationToken cancellationToken)
    {
        if (_cache.Published(file) is { } present)
            return present;
        string blob = _cache.Blob(file.Etag),
            partial = blob + ".incomplete";
        try
        {
            Directory.CreateDirectory(_cache.BlobFolder);
            // The link is also created under the lock: on systems without links the blob itself is moved, and other processes would not
            // find it.
            using IDisposable held = await BlobLock
                .TakeAsync(_cache.Lock(file.Etag), partial, _options.LockTimeout, cancellationToken)
                .ConfigureAwait(false);
            if (_cache.Published(file) is { } published)
                return published; // the previous holder of the lock has fetched it
            if (!HubCache.HasLength(blob, file.Length))
            {
                RequireRoom(file, partial);
                await FetchLockedAsync(file, blob, partial, cancellationToken).ConfigureAwait(false);
            }
            return _cache.Publish(file.Commit, file.Name, file.Etag);
        }
        catch (Exception e) when (e is UnauthorizedAccessException || (e is IOException and not HubException))
        {
            throw NotWritable(file, e);
        }
    }

    private async Task FetchLockedAsync(HubFile file, string blob, string partial, CancellationToken cancellationToken)
    {
        for (bool again = false; ; again = true)
        {
            bool resumed = new FileInfo(partial) is { Exists: true, Length: > 0 };
            await FillAsync(file, partial, cancellationToken).ConfigureAwait(false);
            if (BlobHash.Check(partial, file.Etag, cancellationToken) != false)
            {
                // Not written with WholeFile: an unfinished download is kept under a fixed name, so that the next attempt can resume it.
                File.Move(partial, blob, overwrite: true);
                return;
            }
            File.Delete(partial);
            // The data left by an earlier run may already have been wrong, so the whole file is downloaded once more.
            if (again || !resumed)
                throw new HubException(
                    HubFailure.Damaged,
                    $"'{file.Name}' of '{file.Repository}' arrived with {file.Length} bytes that do not match its hash {file.Etag}; they "
                        + "were discarded. A proxy or mirror changes them, or the connection is faulty: try again, or set HF_ENDPOINT to "
                        + "another address."
                );
        }
    }

    private async Task FillAsync(HubFile file, string partial, CancellationToken cancellationToken)
    {
        using FileStream to = _open(partial);
        if (to.Length > file.Length)
            to.SetLength(0);
        to.Position = to.Length;
        Report(file, to.Position);
        int failures = 0;
        while (to.Position < file.Length)
        {
            long before = to.Position;
            try
            {
                await AppendAsync(file, to, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (HubClient.MayPass(e))
            {
                failures = to.Position > before ? 0 : failures;
                await _client.DelayAsync(failures++, file.Address, e, cancellationToken).ConfigureAwait(false);
            }
        }
        // A blob's name guarantees its content, even after a power failure.
        to.Flush(flushToDisk: true);
        Report(file, to.Position);
    }

    private async Task AppendAsync(HubFile file, FileStream to, CancellationToken cancellationToken)
    {
        using HttpResponseMessage response = await _client.OpenAsync(file, to.Position, cancellationToken).ConfigureAwait(false);
        if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            Restart(to);
            throw new EndOfStreamException($"{HubAnswers.Place(response.RequestMessage?.RequestUri)} has no more bytes.");
        }
        // Discards the downloaded data only after the response has been checked to be plausible for this file.
        long start = Continues(response, file, to.Position) ? to.Position : 0;
        if (response.Content.Headers.ContentEncoding.Count > 0)
            throw Wrong(
                file,
                $"answers with the encoding {HubAnswers.Shown(string.Join(", ", response.Content.Headers.ContentEncoding))} that was not "
                    + "requested"
            );
        if (response.Content.Headers.ContentLength is { } length && start + length != file.Length)
            throw Wrong(file, $"offers {length} bytes from byte {start} on, but the file has {file.Length}");
        if (start != to.Position)
            Restart(to);

        using Stream from = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        byte[] buffer = new byte[Chunk];
        long reported = Environment.TickCount64;
        while (true)
        {
            int read = await _client
                .WithinTimeoutAsync(limit => from.ReadAsync(buffer, limit).AsTask(), cancellationToken)
                .ConfigureAwait(false);
            if (read == 0)
                break;
            if (to.Position + read > file.Length)
            {
                Restart(to);
                throw Wrong(file, $"sends more than the file's {file.Length} bytes");
            }
            Write(file, to, buffer.AsSpan(0, read));
            if (Environment.TickCount64 - reported < ReportInterval.TotalMilliseconds)
                continue;
            Report(file, to.Position);
            reported = Environment.TickCount64;
        }
        if (to.Position < file.Length)
            throw new EndOfStreamException($"The connection ended after {to.Position} of {file.Length} bytes.");
    }

    /// <summary>Whether a response continues where the unfinished file ends; otherwise the download restarts from the first byte.</summary>
    private static bool Continues(HttpResponseMessage response, HubFile file, long offset) =>
        offset == 0
        || (
            response.StatusCode == HttpStatusCode.PartialContent
            && response.Content.Headers.ContentRange is { } range
            && range.From == offset
            && (range.Length ?? file.Length) == file.Length
        );

    private static void Restart(FileStream to)
    {
        to.SetLength(0);
        to.Position = 0;
    }

    private void Write(HubFile file, FileStream to, ReadOnlySpan<byte> bytes)
    {
        try
        {
            to.Write(bytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw NotWritable(file, e); // a full disk is not a network failure, so there is no retry
        }
    }

    private void RequireRoom(HubFile file, string partial)
    {
        long missing = file.Length - (new FileInfo(partial) is { Exists: true } begun ? begun.Length : 0);
        if (_room(_cache.BlobFolder) is { } free && free < missing)
            throw new HubException(
                HubFailure.CacheNotWritable,
                $"'{file.Name}' of '{file.Repository}' needs {missing:N0} more bytes, but the disk of '{_cache.BlobFolder}' has "
                    + $"{free:N0} free. Make room, or set HF_HUB_CACHE to a folder on another disk."
            );
    }

    private void Report(HubFile file, long bytes) => _options.Progress?.Report(new HubProgress(file.Name, bytes, file.Length));

    private HubException NotWritable(HubFile file, Exception reason) =>
        new(
            HubFailure.CacheNotWritable,
            $"'{file.Name}' of '{file.Repository}' could not be written to '{_cache.BlobFolder}': {reason.Message} Make room or give "
                + "access there, or set HF_HUB_CACHE to another folder.",
            reason
        );

    private static HubException Wrong(HubFile file, string what) =>
        new(HubFailure.BadAnswer, $"{file.Address} {what}. A proxy or mirror may be at fault; HF_ENDPOINT names another.");

    private static FileStream Open(string partial) => new(partial, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read, bufferSize: 0);

    private static long? FreeBytes(string folder)
    {
        try
        {
            return new DriveInfo(folder).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or ArgumentException or UnauthorizedAccessException)
        {
            return null; // network shares have no drive; a full disk shows when writing
        }
    }
}

/// <summary>Lets one process at a time download a blob. The operating system releases the lock even if its holder crashes, so a lock file
/// left behind blocks nothing.</summary>
internal static class BlobLock
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <param name="path">The lock file; it is never deleted, because that could let two processes in.</param>
    /// <param name="growing">The file that the holder of the lock writes.</param>
    /// <param name="timeout">How long that file may stay without growing.</param>
    /// <param name="cancellationToken">Cancels the wait.</param>
    /// <exception cref="HubException">The holder makes no progress.</exception>
    /// <exception cref="IOException">The lock file cannot be created.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the lock file is denied.</exception>
    public static async Task<IDisposable> TakeAsync(string path, string growing, TimeSpan timeout, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        long length = -1,
            since = Environment.TickCount64;
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
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
                        $"Another process holds '{path}' and has made no progress on '{growing}' for {timeout.TotalSeconds:0} s. End it, "
                            + "or wait and try again.",
                        e
                    );
                }
            }
            await Task.Delay(Pause, cancellationToken).ConfigureAwait(false);
        }
    }

    // ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION on Windows; elsewhere EWOULDBLOCK, which is 11 on Linux and 35 on macOS. Other
    // errors, such as a full disk, are not waited for.
    private static bool IsHeld(IOException e) => e.HResult is unchecked((int)0x80070020) or unchecked((int)0x80070021) or 11 or 35;
}

/// <summary>Checks a file against the hub's hash: SHA-256 for a large file, git's SHA-1 for a small one.</summary>
internal static class BlobHash
{
    private const int Chunk = 1 << 20;

    /// <summary>Reads a whole file and compares its hash.</summary>
    /// <param name="path">The file.</param>
    /// <param name="etag">The hub's hash: 64 hexadecimal digits (SHA-256) or 40 (SHA-1); anything else cannot be checked.</param>
    /// <param name="cancellationToken">Cancels reading the file.</param>
    /// <returns>Whether the content matches the hash; null if the hash cannot be checked.</returns>
    public static bool? Check(string path, string etag, CancellationToken cancellationToken)
    {
        using FileStream stream = File.OpenRead(path);
        if (etag.Length is not (64 or 40) || !etag.All(char.IsAsciiHexDigit))
            return null;
        using var hash = IncrementalHash.CreateHash(etag.Length == 64 ? HashAlgorithmName.SHA256 : HashAlgorithmName.SHA1);
        // Git hashes a file's length before its content.
        if (etag.Length == 40)
            hash.AppendData(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {stream.Length}\0")));
        byte[] buffer = new byte[Chunk];
        for (int read; (read = stream.Read(buffer)) > 0; hash.AppendData(buffer, 0, read))
            cancellationToken.ThrowIfCancellationRequested();
        return Convert.ToHexString(hash.GetHashAndReset()).Equals(etag, StringComparison.OrdinalIgnoreCase);
    }
}
