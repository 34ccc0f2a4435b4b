using System.Text;
using System.Text.Json;
using Drawing;
using Microsoft.ML.Dpl.Clip;

namespace PretrainTinyClip;

/// <summary>A byte-pair vocabulary learned from captions; the byte symbols are in it, so that any text can be cut into its
/// tokens.</summary>
internal sealed class PairVocabulary
{
    private readonly List<string> _merges = [];
    private readonly Dictionary<string, int> _ids = [];

    private PairVocabulary(Dictionary<string, int> wordCounts, int mostTokens)
    {
        string[] symbols = ClipVocabulary.ByteSymbols();
        foreach (string token in symbols)
            _ids.Add(token, _ids.Count);
        foreach (string token in symbols)
            _ids.Add(token + ClipVocabulary.EndOfWord, _ids.Count);
        // The captions are ASCII, where every byte that prints is its own symbol.
        var words = wordCounts
            .Select(w =>
                (Parts: w.Key.Select((c, i) => i == w.Key.Length - 1 ? c + ClipVocabulary.EndOfWord : $"{c}").ToList(), Count: w.Value)
            )
            .ToList();
        while (_ids.Count + 2 < mostTokens && MostFrequentPair(words) is var (left, right))
        {
            _merges.Add($"{left} {right}");
            _ids.TryAdd(left + right, _ids.Count);
            foreach (var (parts, _) in words)
                Merge(parts, left, right);
        }
        _ids.Add(ClipVocabulary.StartToken, _ids.Count);
        EndId = _ids.Count;
        _ids.Add(ClipVocabulary.EndToken, EndId);
    }

    public int Size => _ids.Count;

    public int EndId { get; }

    /// <summary>Learns from the captions of a series.</summary>
    /// <param name="images">Where the captions come from.</param>
    /// <param name="captions">How many are read.</param>
    /// <param name="mostTokens">At most this many tokens, at least 515.</param>
    public static PairVocabulary Learn(DrawnImages images, int captions = 20_000, int mostTokens = 2000) =>
        new(Count(Enumerable.Range(0, captions).Select(i => images[i].Caption.Text)), mostTokens);

    /// <summary>Learns from words.</summary>
    /// <param name="wordCounts">How often each occurs; ASCII alone.</param>
    /// <param name="mostTokens">At most this many tokens, at least 515.</param>
    public static PairVocabulary Learn(Dictionary<string, int> wordCounts, int mostTokens) => new(wordCounts, mostTokens);

    /// <summary>How often each word occurs in texts, as CLIP cuts them.</summary>
    public static Dictionary<string, int> Count(IEnumerable<string> texts)
    {
        var counts = new Dictionary<string, int>();
        var cut = new ClipPreTokenizer();
        foreach (string text in texts.Select(ClipText.Clean))
        foreach (var (offset, length) in cut.PreTokenize(text))
            counts[text.Substring(offset, length)] = counts.GetValueOrDefault(text.Substring(offset, length)) + 1;
        return counts;
    }

    /// <summary>Writes vocab.json and merges.txt.</summary>
    public void Save(string folder)
    {
        AtomicFile.Write(Path.Combine(folder, "vocab.json"), stream => JsonSerializer.Serialize(stream, _ids));
        AtomicFile.Write(Path.Combine(folder, "merges.txt"), stream =>
            stream.Write(Encoding.UTF8.GetBytes("#version: 0.2\n" + string.Join('\n', _merges) + "\n"))
        );
    }

    private static (string Left, string Right)? MostFrequentPair(List<(List<string> Parts, int Count)> words)
    {
        var counts = new Dictionary<(string Left, string Right), long>();
        foreach (var (parts, count) in words)
            for (int i = 1; i < parts.Count; i++)
                counts[(parts[i - 1], parts[i])] = counts.GetValueOrDefault((parts[i - 1], parts[i])) + count;
        if (counts.Count == 0)
            return null;
        return counts
            .OrderByDescending(p => p.Value)
            .ThenBy(p => p.Key.Left, StringComparer.Ordinal)
            .ThenBy(p => p.Key.Right, StringComparer.Ordinal)
            .First()
            .Key;
    }

    private static void Merge(List<string> parts, string left, string right)
    {
        for (int i = 1; i < parts.Count; i++)
        {
            if (parts[i - 1] != left || parts[i] != right)
                continue;
            parts[i - 1] = left + right;
            parts.RemoveAt(i);
        }
    }
}
