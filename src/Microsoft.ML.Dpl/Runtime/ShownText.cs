using System.Globalization;
using System.Text;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>Escapes untrusted text for messages: on one line and of bounded length, so that a name cannot forge a line of a log.</summary>
internal static class ShownText
{
    private const int Longest = 1000;

    /// <summary>
    /// Escapes control characters, line separators, bidirectional formatting characters and lone surrogates, and truncates after 1,000
    /// characters.
    /// </summary>
    public static string Escape(string text) => Escape(text, Longest);

    /// <summary>
    /// Escapes control characters, bidirectional formatting characters and lone surrogates in every line of a text, without truncation.
    /// </summary>
    public static string EscapeLines(string text) =>
        string.Join('\n', text.ReplaceLineEndings("\n").Split('\n').Select(line => Escape(line, int.MaxValue)));

    /// <param name="text">Any text.</param>
    /// <param name="longest">Number of characters after which the text is truncated.</param>
    public static string Escape(string text, int longest)
    {
        int length = Math.Min(text.Length, longest);
        var shown = new StringBuilder(length);
        for (int i = 0; i < length; i++)
        {
            char c = text[i];
            bool pair = char.IsHighSurrogate(c) && i + 1 < length && char.IsLowSurrogate(text[i + 1]);
            if (pair)
                shown.Append(c).Append(text[++i]);
            else if (IsPlain(c))
                shown.Append(c);
            else
                shown.Append(Escaped(c));
        }
        return text.Length > longest ? shown.Append('…').ToString() : shown.ToString();
    }

    // Bidirectional formatting characters can make a name look like a different one.
    private static bool IsPlain(char c) =>
        c is not ((>= '\u202A' and <= '\u202E') or (>= '\u2066' and <= '\u2069') or '\u200E' or '\u200F' or '\u061C')
        && char.GetUnicodeCategory(c)
            is not (
                UnicodeCategory.Control
                or UnicodeCategory.LineSeparator
                or UnicodeCategory.ParagraphSeparator
                or UnicodeCategory.Surrogate
            );

    private static string Escaped(char c) =>
        c switch
        {
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            _ => $"\\u{(int)c:x4}",
        };
}
