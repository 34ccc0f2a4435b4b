using System.Net;

namespace Microsoft.ML.Dpl.Hub;

/// <summary>Fetches one file into the cache: goes on where an earlier try ended, checks length and hash, and only then gives the blob its name and the snapshot a link to it.</summary>
internal sealed class BlobDownload
{
    private const int Chunk = 1 << 17;
    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(100);

    private readonly HubClient _client;
    private readonly HubCache _cache;
    private readonly HubOptions _options;
    private readonly Func<string, long?> _room;
    private readonly Func<string, FileStream> _open;

    /// <param name="client">Asks the hub.</param>
    /// <param name="cache">The repository's part of the cache.</param>
    /// <param name="options">Progress and the lock's timeout.</param>
    /// <param name="room">Bytes free at a folder, null where unknown; null: the system's answer.</param>
    /// <param name="open">Opens the unfinished file for writing, with what is in it; null: without a buffer.</param>
    public BlobDownload(HubClient client, HubCache cache, HubOptions options, Func<string, long?>? room = null,
        Func<string, FileStream>? open = null)
        => (_client, _cache, _options, _room, _open) = (client, cache, options, room ?? FreeBytes, open ?? Open);

    /// <summary>Downloads nothing where the content is there with the right length.</summary>
    /// <returns>The file's path in the snapshot.</returns>
    /// <exception cref="HubException">The download failed; the message says why, and what arrived is kept unless it was wrong.</exception>
    public async Task<string> FetchAsync(HubFile file, CancellationToken cancellation)
    {
        if (_cache.Published(file) is { } present) return present;
        string blob = _cache.Blob(file.Etag), partial = blob + ".incomplete";
        try
        {
            Directory.CreateDirectory(_cache.BlobFolder);
            // The link is made under the lock, too: without links the blob itself moves, and others would not find it where they look.
            using IDisposable held = await BlobLock.TakeAsync(_cache.Lock(file.Etag), partial, _options.LockTimeout, cancellation).ConfigureAwait(false);
            if (_cache.Published(file) is { } published) return published; // whoever held the lock has fetched it
            if (!HubCache.HasLength(blob, file.Length))
            {
                RequireRoom(file, partial);
                await FetchLockedAsync(file, blob, partial, cancellation).ConfigureAwait(false);
            }
            return _cache.Publish(file.Commit, file.Name, file.Etag);
        }
        catch (Exception e) when (e is UnauthorizedAccessException || (e is IOException and not HubException))
        {
            throw NotWritable(file, e);
        }
    }

    private async Task FetchLockedAsync(HubFile file, string blob, string partial, CancellationToken cancellation)
    {
        for (bool again = false; ; again = true)
        {
            bool resumed = new FileInfo(partial) is { Exists: true, Length: > 0 };
            await FillAsync(file, partial, cancellation).ConfigureAwait(false);
            if (BlobHash.Check(partial, file.Etag, cancellation) != false)
            {
                File.Move(partial, blob, overwrite: true);
                return;
            }
            File.Delete(partial);
            // What an earlier run left may have been wrong already: the whole file gets a second chance.
            if (again || !resumed)
                throw new HubException(HubFailure.Damaged, $"'{file.Name}' of '{file.Repository}' arrived with {file.Length} bytes that are not those of its hash {file.Etag}; they were thrown away. A proxy or mirror changes them, or the connection is bad: try again, or set HF_ENDPOINT to another address.");
        }
    }

    private async Task FillAsync(HubFile file, string partial, CancellationToken cancellation)
    {
        using FileStream to = _open(partial);
        if (to.Length > file.Length) to.SetLength(0);
        to.Position = to.Length;
        Report(file, to.Position);
        for (int failures = 0; to.Position < file.Length;)
        {
            long before = to.Position;
            try
            {
                await AppendAsync(file, to, cancellation).ConfigureAwait(false);
            }
            catch (Exception e) when (HubClient.MayPass(e))
            {
                failures = to.Position > before ? 0 : failures;
                await _client.DelayAsync(failures++, file.Address, e, cancellation).ConfigureAwait(false);
            }
        }
        // A blob's name promises its content, also after a power cut.
        to.Flush(flushToDisk: true);
        Report(file, to.Position);
    }

    private async Task AppendAsync(HubFile file, FileStream to, CancellationToken cancellation)
    {
        using HttpResponseMessage response = await _client.OpenAsync(file, to.Position, cancellation).ConfigureAwait(false);
        if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            Restart(to);
            throw new EndOfStreamException($"{response.RequestMessage?.RequestUri} has no more bytes.");
        }
        // What is here is thrown away only for an answer that can be the file.
        long start = Continues(response, file, to.Position) ? to.Position : 0;
        if (response.Content.Headers.ContentEncoding.Count > 0) throw Wrong(file, $"answers with the encoding {HubAnswers.Shown(string.Join(", ", response.Content.Headers.ContentEncoding))} that was not asked for");
        if (response.Content.Headers.ContentLength is { } length && start + length != file.Length)
            throw Wrong(file, $"offers {length} bytes from byte {start} on, but the file has {file.Length}");
        if (start != to.Position) Restart(to);

        using Stream from = await response.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false);
        byte[] buffer = new byte[Chunk];
        long reported = Environment.TickCount64;
        while (true)
        {
            int read = await _client.WithinTimeoutAsync(limit => from.ReadAsync(buffer, limit).AsTask(), cancellation).ConfigureAwait(false);
            if (read == 0) break;
            if (to.Position + read > file.Length)
            {
                Restart(to);
                throw Wrong(file, $"sends more than the file's {file.Length} bytes");
            }
            Write(file, to, buffer.AsSpan(0, read));
            if (Environment.TickCount64 - reported < ReportInterval.TotalMilliseconds) continue;
            Report(file, to.Position);
            reported = Environment.TickCount64;
        }
        if (to.Position < file.Length) throw new EndOfStreamException($"The connection ended after {to.Position} of {file.Length} bytes.");
    }

    /// <summary>Whether an answer goes on where the file ends; all else begins anew.</summary>
    private static bool Continues(HttpResponseMessage response, HubFile file, long offset)
        => offset == 0
            || (response.StatusCode == HttpStatusCode.PartialContent && response.Content.Headers.ContentRange is { } range && range.From == offset && (range.Length ?? file.Length) == file.Length);

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
            throw new HubException(HubFailure.CacheNotWritable, $"'{file.Name}' of '{file.Repository}' needs {missing:N0} more bytes, but the disk of '{_cache.BlobFolder}' has {free:N0} free. Make room, or set HF_HUB_CACHE to a folder on another disk.");
    }

    private void Report(HubFile file, long bytes) => _options.Progress?.Report(new HubProgress(file.Name, bytes, file.Length));

    private HubException NotWritable(HubFile file, Exception reason)
        => new(HubFailure.CacheNotWritable, $"'{file.Name}' of '{file.Repository}' could not be written to '{_cache.BlobFolder}': {reason.Message} Make room or give access there, or set HF_HUB_CACHE to another folder.", reason);

    private static HubException Wrong(HubFile file, string what) => new(HubFailure.BadAnswer, $"{file.Address} {what}. A proxy or mirror may be at fault; HF_ENDPOINT names another.");

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
