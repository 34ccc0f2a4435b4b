using System.Globalization;

namespace PretrainTinyClip.Photographs;

/// <summary>WordNet 3.0's nouns (Miller 1995): their hypernyms and the words of their definitions.</summary>
internal sealed class WordNet
{
    // Hypernyms that are too general to describe an image.
    private static readonly HashSet<string> Abstract = new(StringComparer.Ordinal)
    {
        "entity",
        "physical entity",
        "abstraction",
        "object",
        "whole",
        "artifact",
        "living thing",
        "organism",
        "matter",
        "substance",
        "instrumentality",
        "thing",
        "causal agent",
        "unit",
        "relation",
        "part",
        "attribute",
    };

    private readonly Dictionary<int, (string[] Words, int Above)> _nouns = [];
    private readonly Dictionary<string, int> _first = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _wordCounts = new(StringComparer.Ordinal);

    /// <param name="folder">Folder with data.noun and index.noun (Debian's package wordnet-base installs them in
    /// /usr/share/wordnet).</param>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    public WordNet(string folder)
    {
        if (!File.Exists(Path.Combine(folder, "data.noun")) || !File.Exists(Path.Combine(folder, "index.noun")))
            throw new FileNotFoundException(
                $"'{folder}' does not hold WordNet's data.noun and index.noun: name their folder with --wordnet, or install Debian's "
                    + "wordnet-base."
            );
        foreach (string line in File.ReadLines(Path.Combine(folder, "data.noun")).Where(IsEntry))
            ReadNoun(line);
        foreach (string line in File.ReadLines(Path.Combine(folder, "index.noun")).Where(IsEntry))
        {
            string[] cells = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            int senses = int.Parse(cells[2], CultureInfo.InvariantCulture);
            _first[Plain(cells[0])] = int.Parse(cells[^senses], CultureInfo.InvariantCulture);
        }
    }

    /// <summary>How often each word occurs in names and definitions.</summary>
    public IReadOnlyDictionary<string, int> WordCounts => _wordCounts;

    /// <summary>Returns the names of a synset such as "n02124075", or of a word's most frequent sense if the synset is empty, the most
    /// usual name first.</summary>
    public IReadOnlyList<string> Names(string synset, string word) =>
        Find(synset, word) is int offset && _nouns.TryGetValue(offset, out var noun) ? noun.Words : [];

    /// <summary>Returns the hypernyms, the nearest first, up to the first one that is too general to describe an image.</summary>
    public IReadOnlyList<string> Above(string synset, string word)
    {
        var above = new List<string>();
        int at = Find(synset, word) is int offset && _nouns.TryGetValue(offset, out var noun) ? noun.Above : 0;
        while (at != 0 && _nouns.TryGetValue(at, out noun) && !Abstract.Contains(noun.Words[0]))
        {
            above.Add(noun.Words[0]);
            at = noun.Above;
        }
        return above;
    }

    private int? Find(string synset, string word)
    {
        if (synset.Length > 0)
            return int.Parse(synset.AsSpan(1), CultureInfo.InvariantCulture);
        return _first.TryGetValue(word, out int offset) ? offset : null;
    }

    // The licence text precedes the entries and is indented.
    private static bool IsEntry(string line) => !line.StartsWith(' ');

    private void ReadNoun(string line)
    {
        int bar = line.IndexOf('|', StringComparison.Ordinal);
        string[] cells = line[..bar].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        int count = int.Parse(cells[3], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        string[] words = [.. Enumerable.Range(0, count).Select(i => Plain(cells[4 + 2 * i]))];
        int above = 0;
        for (int i = 5 + 2 * count; i + 3 < cells.Length + 1 && above == 0; i += 4)
            if (cells[i] is "@" or "@i")
                above = int.Parse(cells[i + 1], CultureInfo.InvariantCulture);
        _nouns[int.Parse(cells[0], CultureInfo.InvariantCulture)] = (words, above);
        foreach (string text in words.Append(line[(bar + 1)..]))
        foreach (
            string word in text.ToLowerInvariant()
                .Split([' ', ';', ',', '(', ')', '"', '\'', '-', '.', ':', '`', '/'], StringSplitOptions.RemoveEmptyEntries)
        )
            if (word.All(char.IsAsciiLetterLower))
                _wordCounts[word] = _wordCounts.GetValueOrDefault(word) + 1;
    }

    private static string Plain(string word) => word.Replace('_', ' ').ToLowerInvariant();
}
