using System.Text;
using System.Text.Json;
using Drawing;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;

namespace PretrainTinyClip;

/// <summary>A byte-pair vocabulary learned from captions; it contains all byte symbols, so that any text can be tokenized.</summary>
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
        // The captions are ASCII, where every printable byte is its own symbol.
        var words = wordCounts
            .Select(w =>
                (Parts: w.Key.Select((c, i) => i == w.Key.Length - 1 ? c + ClipVocabulary.EndOfWord : $"{c}").ToList(), Count: w.Value)
            )
            .ToList();
        var pairs = new PairCounts(words);
        while (_ids.Count + 2 < mostTokens && pairs.MostFrequent() is var (left, right))
        {
            _merges.Add($"{left} {right}");
            _ids.TryAdd(left + right, _ids.Count);
            pairs.Merge(left, right);
        }
        _ids.Add(ClipVocabulary.StartToken, _ids.Count);
        EndId = _ids.Count;
        _ids.Add(ClipVocabulary.EndToken, EndId);
    }

    public int Size => _ids.Count;

    public int EndId { get; }

    /// <summary>Learns a vocabulary from the captions of a series of drawn images.</summary>
    /// <param name="images">The images whose captions are used.</param>
    /// <param name="captions">Number of captions to read.</param>
    /// <param name="mostTokens">Maximum size of the vocabulary, at least 515 tokens.</param>
    public static PairVocabulary Learn(DrawnImages images, int captions = 20_000, int mostTokens = 2000) =>
        new(Count(Enumerable.Range(0, captions).Select(i => images[i].Caption.Text)), mostTokens);

    /// <summary>Learns a vocabulary from words.</summary>
    /// <param name="wordCounts">Words, ASCII only, and how often each occurs.</param>
    /// <param name="mostTokens">Maximum size of the vocabulary, at least 515 tokens.</param>
    public static PairVocabulary Learn(Dictionary<string, int> wordCounts, int mostTokens) => new(wordCounts, mostTokens);

    /// <summary>Counts the words in texts, as split by CLIP's pre-tokenizer.</summary>
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
        WholeFile.Write(Path.Combine(folder, "vocab.json"), stream => JsonSerializer.Serialize(stream, _ids));
        WholeFile.Write(Path.Combine(folder, "merges.txt"), stream =>
            stream.Write(Encoding.UTF8.GetBytes("#version: 0.2\n" + string.Join('\n', _merges) + "\n"))
        );
    }

    /// <summary>Whether a folder holds this vocabulary.</summary>
    public bool IsIn(string folder) =>
        File.Exists(Path.Combine(folder, "vocab.json"))
        && string.Equals(File.ReadAllText(Path.Combine(folder, "vocab.json")), JsonSerializer.Serialize(_ids), StringComparison.Ordinal);

    /// <summary>Counts of adjacent symbol pairs in the words, kept up to date while pairs are merged.</summary>
    private sealed class PairCounts
    {
        private readonly List<(List<string> Parts, int Count)> _words;
        private readonly Dictionary<(string Left, string Right), long> _counts = [];
        private readonly Dictionary<(string Left, string Right), HashSet<int>> _wordsWith = [];

        public PairCounts(List<(List<string> Parts, int Count)> words)
        {
            _words = words;
            for (int word = 0; word < words.Count; word++)
                Add(word, 1);
        }

        /// <summary>Returns the most frequent pair; among equally frequent pairs the first in ordinal order.</summary>
        public (string Left, string Right)? MostFrequent()
        {
            (string Left, string Right)? best = null;
            long most = 0;
            foreach (var (pair, count) in _counts)
                if (count > most || (count == most && count > 0 && Compare(pair, best!.Value) < 0))
                    (best, most) = (pair, count);
            return best;
        }

        public void Merge(string left, string right)
        {
            foreach (int word in _wordsWith[(left, right)].ToArray())
            {
                Add(word, -1);
                List<string> parts = _words[word].Parts;
                for (int i = 1; i < parts.Count; i++)
                {
                    if (parts[i - 1] != left || parts[i] != right)
                        continue;
                    parts[i - 1] = left + right;
                    parts.RemoveAt(i);
                }
                Add(word, 1);
            }
        }

        private void Add(int word, int sign)
        {
            var (parts, count) = _words[word];
            for (int i = 1; i < parts.Count; i++)
            {
                var pair = (parts[i - 1], parts[i]);
                long now = _counts.GetValueOrDefault(pair) + sign * count;
                if (now == 0)
                    _counts.Remove(pair);
                else
                    _counts[pair] = now;
                if (!_wordsWith.TryGetValue(pair, out HashSet<int>? with))
                    _wordsWith.Add(pair, with = []);
                if (sign > 0)
                    with.Add(word);
                else
                    with.Remove(word);
            }
        }

        private static int Compare((string Left, string Right) a, (string Left, string Right) b)
        {
            int left = string.CompareOrdinal(a.Left, b.Left);
            return left != 0 ? left : string.CompareOrdinal(a.Right, b.Right);
        }
    }
}
