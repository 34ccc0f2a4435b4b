using System.Text;
using Microsoft.ML.Tokenizers;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Turns text into CLIP's token ids: ML.NET's byte-pair tokenizer with CLIP's clean-up, word splitting and end-of-word marks.
/// Thread-safe.</summary>
internal sealed class ClipTokenizer
{
    private static readonly IReadOnlyDictionary<char, byte> BytesOfSymbols = ClipVocabulary.BytesOfSymbols();

    private readonly BpeTokenizer _pairs;
    private readonly Dictionary<int, string> _tokens;

    /// <param name="vocabulary">Of either layout.</param>
    public ClipTokenizer(ClipVocabulary vocabulary)
    {
        (StartId, EndId) = (vocabulary.Ids[ClipVocabulary.StartToken], vocabulary.Ids[ClipVocabulary.EndToken]);
        VocabularySize = vocabulary.Ids.Values.Max() + 1;
        _tokens = vocabulary.Ids.ToDictionary(token => token.Value, token => token.Key);
        _pairs = BpeTokenizer.Create(
            new BpeOptions(vocabulary.Ids)
            {
                Merges = vocabulary.Merges,
                PreTokenizer = new ClipPreTokenizer(),
                SpecialTokens = new Dictionary<string, int> { [ClipVocabulary.StartToken] = StartId, [ClipVocabulary.EndToken] = EndId },
                EndOfWordSuffix = ClipVocabulary.EndOfWord,
                ByteLevel = true,
            }
        );
    }

    /// <summary>Reads Hugging Face's <c>vocab.json</c> and <c>merges.txt</c>, of any size.</summary>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is malformed; the message names it and what is wrong.</exception>
    public static ClipTokenizer FromHuggingFace(string vocabularyPath, string mergesPath) =>
        new(ClipVocabulary.ReadHuggingFace(vocabularyPath, mergesPath));

    /// <summary>Reads OpenAI's <c>bpe_simple_vocab_16e6.txt.gz</c>.</summary>
    /// <exception cref="FileNotFoundException">The file is missing.</exception>
    /// <exception cref="InvalidDataException">The file is malformed; the message names it and what is wrong.</exception>
    public static ClipTokenizer FromOpenAI(string path) => new(ClipVocabulary.ReadOpenAI(path));

    /// <summary>The id every text begins with.</summary>
    public int StartId { get; }

    /// <summary>The id every text ends with, whose row the text tower reads.</summary>
    public int EndId { get; }

    /// <summary>One more than the largest id.</summary>
    public int VocabularySize { get; }

    /// <summary>The token of an id in the byte-level alphabet, for instance <c>photo&lt;/w&gt;</c>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary has no such id.</exception>
    public string Token(int id) =>
        _tokens.TryGetValue(id, out string? token)
            ? token
            : throw new ArgumentOutOfRangeException(nameof(id), id, "The vocabulary has no such id.");

    /// <summary>Whether the vocabulary has a token of this id.</summary>
    public bool Has(int id) => _tokens.ContainsKey(id);

    /// <summary>A token as a person reads it: bytes as UTF-8, where they are whole characters, and the mark of a word's end taken
    /// off.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary has no such id.</exception>
    public (string Text, bool EndsWord) Read(int id)
    {
        string token = Token(id);
        if (id == StartId || id == EndId)
            return (token, true);
        bool endsWord = token.EndsWith(ClipVocabulary.EndOfWord, StringComparison.Ordinal);
        if (endsWord)
            token = token[..^ClipVocabulary.EndOfWord.Length];
        return (
            token.All(BytesOfSymbols.ContainsKey) ? Encoding.UTF8.GetString([.. token.Select(c => BytesOfSymbols[c])]) : token,
            endsWord
        );
    }

    /// <summary>Start, text and end, without padding: at most <paramref name="contextLength"/> ids.</summary>
    /// <param name="text">Any text; an empty one gives start and end.</param>
    /// <param name="contextLength">The text tower's positions, at least 2.</param>
    /// <param name="truncated">Whether the text's end was cut off to keep the end token within the context.</param>
    public int[] Encode(string text, int contextLength, out bool truncated)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentOutOfRangeException.ThrowIfLessThan(contextLength, 2);
        IReadOnlyList<int> ids = _pairs.EncodeToIds(ClipText.Clean(text), considerNormalization: false);
        truncated = ids.Count > contextLength - 2;
        return [StartId, .. ids.Take(contextLength - 2), EndId];
    }
}
