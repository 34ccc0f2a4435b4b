using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>Fields of CSV.</summary>
internal static class CsvText
{
    /// <param name="text">What the field says.</param>
    /// <param name="isShown">Whether a terminal shows it, which would obey escapes in it.</param>
    /// <param name="keepFormulas">Whether it may begin as a formula of a spreadsheet does.</param>
    public static string Field(string text, bool isShown = false, bool keepFormulas = false)
    {
        if (isShown)
            text = ShownText.Escape(text, int.MaxValue);
        // As OWASP says of CSV injection: a spreadsheet takes such a field for a formula, unless an apostrophe comes first.
        bool isFormula = !keepFormulas && text is ['=' or '+' or '-' or '@' or '\t' or '\r', ..];
        if (isFormula)
            text = "'" + text;
        return isFormula || text.AsSpan().ContainsAny("\",\n\r") ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;
    }
}
