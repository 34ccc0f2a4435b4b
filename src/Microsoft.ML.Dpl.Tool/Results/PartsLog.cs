using System.Text.Json;
using Microsoft.ML.Dpl.Tool.Display;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>
/// The journal of a shard in progress. The whole journal is written when the first part is added and when the shard is complete; in between
/// each part appends a line to a second file, so that adding a part costs the same however many there are.
/// </summary>
/// <param name="journal">The file of the whole journal.</param>
/// <param name="settings">The settings of the parts.</param>
internal sealed class PartsLog(OutputFile journal, PartSettings settings) : IDisposable
{
    private const byte LineEnd = (byte)'\n';

    private FileStream? _lines;

    /// <summary>The file with one line per part; it is deleted when the journal is complete.</summary>
    public string LinesPath { get; } = Path.ChangeExtension(journal.FullPath, ".unfinished");

    /// <summary>Whether an earlier process left a journal.</summary>
    public bool Exists => File.Exists(journal.FullPath);

    /// <summary>Returns the parts that earlier processes finished, including killed ones; empty if there is no readable journal.</summary>
    /// <param name="warn">Called with a warning for everything that cannot be read.</param>
    /// <exception cref="IOException">A file exists but cannot be read.</exception>
    public IReadOnlyList<DonePart> Read(Action<string> warn)
    {
        if (!Exists)
            return [];
        if (PartsJournal.TryRead(journal.FullPath) is not { } whole)
        {
            warn($"'{journal.FullPath}' cannot be read, so its parts are written again.");
            return [];
        }
        return [.. whole.Parts, .. ReadLines(warn)];
    }

    /// <summary>Adds a part whose file is complete, and returns once the entry is on disk.</summary>
    /// <param name="part">The part.</param>
    /// <param name="others">Returns all other complete parts; called for the first part only.</param>
    /// <exception cref="IOException">The journal cannot be written.</exception>
    public void Add(DonePart part, Func<IEnumerable<DonePart>> others)
    {
        try
        {
            _lines ??= Begin(others());
            // One write, so that a process that is killed leaves at most one line without its end.
            _lines.Write([.. JsonSerializer.SerializeToUtf8Bytes(part, ToolJson.Line), LineEnd]);
            _lines.Flush(flushToDisk: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"'{LinesPath}' cannot be written: {e.Message.TrimEnd('.')}.", e);
        }
    }

    /// <summary>Writes the whole journal of a shard that has no more parts.</summary>
    /// <param name="parts">All of them, in their order.</param>
    /// <exception cref="IOException">The journal cannot be written.</exception>
    public void Complete(IReadOnlyList<DonePart> parts)
    {
        Write(parts, isComplete: true);
        Dispose();
        File.Delete(LinesPath);
    }

    public void Dispose()
    {
        _lines?.Dispose();
        _lines = null;
    }

    private FileStream Begin(IEnumerable<DonePart> others)
    {
        // In this order: until the journal has them, the lines of the process before are the only ones to know its parts.
        Write([.. others.OrderBy(part => part.Part)], isComplete: false);
        return new FileStream(LinesPath, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
    }

    private void Write(IReadOnlyList<DonePart> parts, bool isComplete)
    {
        var whole = new PartsJournal(PartsJournal.CurrentForm, settings, parts, isComplete);
        journal.Write(unfinished => File.WriteAllBytes(unfinished, whole.ToJson()));
    }

    private IEnumerable<DonePart> ReadLines(Action<string> warn)
    {
        if (!File.Exists(LinesPath))
            yield break;
        byte[] all = File.ReadAllBytes(LinesPath);
        int number = 0;
        for (int start = 0, end; (end = Array.IndexOf(all, LineEnd, start)) >= 0; start = end + 1)
        {
            number++;
            if (TryParse(all.AsSpan(start, end - start)) is { } part)
                yield return part;
            else
                warn($"Line {number} of '{LinesPath}' cannot be read, so the part that it lists is written again.");
        }
        // What has no end was being written when the process ended, and its part is made again.
    }

    private static DonePart? TryParse(ReadOnlySpan<byte> line)
    {
        try
        {
            return JsonSerializer.Deserialize<DonePart>(line, ToolJson.Line) is { Paths: not null } part ? part : null;
        }
        catch (JsonException)
        {
            // The caller says so.
            return null;
        }
    }
}
