using System.Buffers;
using System.Globalization;
using System.Net;
using System.Text;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Tokenizers;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Converts text to CLIP's token ids: ML.NET's byte-pair tokenizer with CLIP's text cleaning, word splitting and end-of-word
/// marker. Thread-safe.</summary>
internal sealed class ClipTokenizer
{
    private static readonly IReadOnlyDictionary<char, byte> BytesOfSymbols = ClipVocabulary.BytesOfSymbols();

    private readonly BpeTokenizer _pairs;
    private readonly Dictionary<int, string> _tokens;

    /// <param name="vocabulary">The vocabulary, from a file of any layout.</param>
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
    /// <exception cref="InvalidDataException">A file is malformed; the message names the file and the fault.</exception>
    public static ClipTokenizer FromHuggingFace(string vocabularyPath, string mergesPath) =>
        new(ClipVocabulary.ReadHuggingFace(vocabularyPath, mergesPath));

    /// <summary>Reads OpenAI's <c>bpe_simple_vocab_16e6.txt.gz</c>.</summary>
    /// <exception cref="FileNotFoundException">The file is missing.</exception>
    /// <exception cref="InvalidDataException">The file is malformed; the message names the file and the fault.</exception>
    public static ClipTokenizer FromOpenAI(string path) => new(ClipVocabulary.ReadOpenAI(path));

    /// <summary>The id that every text begins with.</summary>
    public int StartId { get; }

    /// <summary>The id that every text ends with, at whose position the text tower reads the feature.</summary>
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

    /// <summary>A token in readable form: its bytes decoded as UTF-8 as far as they are complete characters, without the end-of-word
    /// marker.</summary>
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

    /// <summary>Encodes a text as start token, text and end token, without padding: at most <paramref name="contextLength"/> ids.</summary>
    /// <param name="text">Any text; an empty text gives only the start and end tokens.</param>
    /// <param name="contextLength">The text tower's number of positions, at least 2.</param>
    /// <param name="truncated">Whether the text was truncated so that the end token fits into the context.</param>
    public int[] Encode(string text, int contextLength, out bool truncated)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentOutOfRangeException.ThrowIfLessThan(contextLength, 2);
        IReadOnlyList<int> ids = _pairs.EncodeToIds(ClipText.Clean(text), considerNormalization: false);
        truncated = ids.Count > contextLength - 2;
        return [StartId, .. ids.Take(contextLength - 2), EndId];
    }
}

/// <summary>Normalises text to the form that CLIP was trained on: HTML entities decoded, characters composed, white space collapsed, lower
/// case.</summary>
internal static class ClipText
{
    /// <summary>
    /// Entities are decoded twice, because scraped captions were often escaped twice. Of the repairs of the ftfy library, only the
    /// composition of accents (NFC) is applied; quotation marks, for example, are unchanged.
    /// </summary>
    public static string Clean(string text)
    {
        string resolved = WebUtility.HtmlDecode(WebUtility.HtmlDecode(text));
        string composed = ComposedText.Compose(WithoutLoneSurrogates(resolved));
        var clean = new StringBuilder(composed.Length);
        foreach (char c in composed)
        {
            if (!char.IsWhiteSpace(c))
                clean.Append(c);
            else if (clean.Length > 0 && clean[^1] != ' ')
                clean.Append(' ');
        }
        // U+0130 is the one letter whose lower case is two characters; .NET's invariant casing does not change it.
        return clean.ToString().TrimEnd(' ').ToLowerInvariant().Replace("\u0130", "i\u0307", StringComparison.Ordinal);
    }

    // EnumerateRunes replaces lone surrogates with U+FFFD.
    private static string WithoutLoneSurrogates(string text) => string.Concat(text.EnumerateRunes());
}

/// <summary>Splits cleaned text into words like CLIP: special tokens, English contractions, runs of letters, single digits, and runs of
/// other non-space characters.</summary>
internal sealed class ClipPreTokenizer : PreTokenizer
{
    private static readonly string[] WholeWords =
    [
        ClipVocabulary.StartToken,
        ClipVocabulary.EndToken,
        "'s",
        "'t",
        "'re",
        "'ve",
        "'m",
        "'ll",
        "'d",
    ];

    private enum Kind
    {
        Space,
        Letter,
        Number,
        Other,
    }

    /// <inheritdoc/>
    public override IEnumerable<(int Offset, int Length)> PreTokenize(string text)
    {
        int start = 0;
        while (start < text.Length)
        {
            Kind kind = KindAt(text, start, out int length);
            if (Array.Find(WholeWords, w => string.CompareOrdinal(text, start, w, 0, w.Length) == 0) is { } word)
                length = word.Length;
            else if (kind is Kind.Letter or Kind.Other)
                while (start + length < text.Length && KindAt(text, start + length, out int more) == kind)
                    length += more;
            if (kind != Kind.Space)
                yield return (start, length);
            start += length;
        }
    }

    /// <inheritdoc/>
    public override IEnumerable<(int Offset, int Length)> PreTokenize(ReadOnlySpan<char> text) => PreTokenize(text.ToString());

    private static Kind KindAt(string text, int index, out int length)
    {
        if (Rune.DecodeFromUtf16(text.AsSpan(index), out Rune rune, out length) != OperationStatus.Done)
            return Kind.Other;
        if (Rune.IsWhiteSpace(rune))
            return Kind.Space;
        return Rune.GetUnicodeCategory(rune) switch
        {
            <= UnicodeCategory.OtherLetter => Kind.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Kind.Number,
            _ => Kind.Other,
        };
    }
}
