using System.Globalization;
using System.Text;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>Text from outside as messages show it: on one line and of bounded length, so that a name cannot forge a line of a
/// log.</summary>
internal static class ShownText
{
    private const int Longest = 1000;

    /// <summary>The text with control characters, line separators and lone surrogates as escapes; what lies beyond 1,000 characters is
    /// cut.</summary>
    public static string Escape(string text)
    {
        int length = Math.Min(text.Length, Longest);
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
        return text.Length > Longest ? shown.Append('…').ToString() : shown.ToString();
    }

    private static bool IsPlain(char c) =>
        char.GetUnicodeCategory(c)
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
