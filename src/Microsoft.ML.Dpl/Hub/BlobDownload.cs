using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Dpl.Hub;

/// <summary>Fetches one file into the cache: continues where an earlier attempt ended, checks length and hash, and only then gives the blob
/// its name and the snapshot a link to it.</summary>
internal sealed class BlobDownload
{
    private const int Chunk = 1 << 17;
    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(100);

    private readonly HubClient _client;
    private readonly HubCache _cache;
    private readonly HubOptions _options;
    private readonly Func<string, long?> _room;
    private readonly Func<string, FileStream> _open;

    /// <param name="client">The client of the hub.</param>
    /// <param name="cache">The repository's part of the cache.</param>
    /// <param name="options">Progress and the lock's timeout.</param>
    /// <param name="room">Bytes free at a folder, null where unknown; null: the system's answer.</param>
    /// <param name="open">The opener of the unfinished file, which keeps its content; null: an unbuffered stream.</param>
    public BlobDownload(
        HubClient client,
        HubCache cache,
        HubOptions options,
        Func<string, long?>? room = null,
        Func<string, FileStream>? open = null
    ) => (_client, _cache, _options, _room, _open) = (client, cache, options, room ?? FreeBytes, open ?? Open);

    /// <summary>Downloads nothing where the content is there with the right length.</summary>
    /// <returns>The file's path in the snapshot.</returns>
    /// <exception cref="HubException">The download failed; the message says why, and what arrived is kept unless it was wrong.</exception>
    public async Task<string> FetchAsync(HubFile file, CancellationToken cancellationToken)
    {
        if (_cache.Published(file) is { } present)
            return present;
        string blob = _cache.Blob(file.Etag),
            partial = blob + ".incomplete";
        try
        {
            Directory.CreateDirectory(_cache.BlobFolder);
            // The link is made under the lock, too: without links the blob itself moves, and others would not find it where they look.
            using IDisposable held = await BlobLock
                .TakeAsync(_cache.Lock(file.Etag), partial, _options.LockTimeout, cancellationToken)
                .ConfigureAwait(false);
            if (_cache.Published(file) is { } published)
                return published; // the lock's last holder has fetched it
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
                // Not a WholeFile: an unfinished download is kept under a fixed name, so that the next attempt continues it.
                File.Move(partial, blob, overwrite: true);
                return;
            }
            File.Delete(partial);
            // The bytes that an earlier run left may have been wrong already, so the whole file is fetched once more.
            if (again || !resumed)
                throw new HubException(
                    HubFailure.Damaged,
                    $"'{file.Name}' of '{file.Repository}' arrived with {file.Length} bytes that are not those of its hash "
                        + $"{file.Etag}; they were thrown away. A proxy or mirror changes them, or the connection is bad: try again, "
                        + "or set HF_ENDPOINT to another address."
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
        // A blob's name promises its content, also after a power cut.
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
        // What was downloaded is discarded only for an answer that can be the file.
        long start = Continues(response, file, to.Position) ? to.Position : 0;
        if (response.Content.Headers.ContentEncoding.Count > 0)
            throw Wrong(
                file,
                $"answers with the encoding {HubAnswers.Shown(string.Join(", ", response.Content.Headers.ContentEncoding))} that was "
                    + "not asked for"
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

    /// <summary>Whether an answer continues where the unfinished file ends; with any other, the file starts again from its first
    /// byte.</summary>
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
            throw NotWritable(file, e); // a full disk is no fault of the network, so it is not tried again
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
            return null; // network shares have no drive; writing will tell
        }
    }
}

/// <summary>Lets one process at a time fetch a blob. The system drops the lock when its holder ends, however it ends, so a file left behind
/// blocks nobody.</summary>
internal static class BlobLock
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <param name="path">The lock's file; it stays, because deleting it would let two processes in.</param>
    /// <param name="growing">The file that the lock's holder writes.</param>
    /// <param name="timeout">The longest time for which that file may not grow.</param>
    /// <param name="cancellationToken">Cancellation of the wait.</param>
    /// <exception cref="HubException">The holder makes no progress.</exception>
    /// <exception cref="IOException">The file cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">Likewise.</exception>
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
                        $"Another process holds '{path}' and has not got on with '{growing}' for {timeout.TotalSeconds:0} s. End it, "
                            + "or wait and try again.",
                        e
                    );
                }
            }
            await Task.Delay(Pause, cancellationToken).ConfigureAwait(false);
        }
    }

    // ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION on Windows; elsewhere EWOULDBLOCK, which is 11 on Linux and 35 on macOS. A full disk
    // is not waited for.
    private static bool IsHeld(IOException e) => e.HResult is unchecked((int)0x80070020) or unchecked((int)0x80070021) or 11 or 35;
}

/// <summary>Checks a file against the hub's name for it: SHA-256 of a large file's content, or git's SHA-1 of a small one's.</summary>
internal static class BlobHash
{
    private const int Chunk = 1 << 20;

    /// <summary>Reads a whole file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="etag">The hub's name: 64 hexadecimal digits, 40, or anything else, which cannot be checked.</param>
    /// <param name="cancellationToken">Cancellation of the reading.</param>
    /// <returns>Whether the content is what the name says; null where the name cannot be checked.</returns>
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
