using System.Buffers;
using System.Globalization;
using System.Net;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Makes a text what CLIP was trained on: HTML entities resolved, characters composed, white space collapsed, lower
/// case.</summary>
internal static class ClipText
{
    /// <summary>
    /// Entities are resolved twice, since scraped captions were often escaped twice. Quotation marks stay as they are:
    /// of what the ftfy library repairs, only the composition of accents (NFC) is done, and that only where
    /// the application does not run in .NET's globalization-invariant mode, which has no composition tables.
    /// </summary>
    public static string Clean(string text)
    {
        string resolved = WebUtility.HtmlDecode(WebUtility.HtmlDecode(text));
        string composed = WithoutLoneSurrogates(resolved).Normalize(NormalizationForm.FormC);
        var clean = new StringBuilder(composed.Length);
        foreach (char c in composed)
        {
            if (!char.IsWhiteSpace(c))
                clean.Append(c);
            else if (clean.Length > 0 && clean[^1] != ' ')
                clean.Append(' ');
        }
        // U+0130 is the one letter whose lower case is two characters; .NET's invariant casing leaves it alone.
        return clean.ToString().TrimEnd(' ').ToLowerInvariant().Replace("\u0130", "i\u0307", StringComparison.Ordinal);
    }

    // enumeration replaces what is no character by U+FFFD
    private static string WithoutLoneSurrogates(string text) => string.Concat(text.EnumerateRunes());
}

/// <summary>Cuts clean text into words as CLIP does: special tokens, English contractions, runs of letters, single digits, runs of anything
/// else but spaces.</summary>
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
        for (int start = 0; start < text.Length; )
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
