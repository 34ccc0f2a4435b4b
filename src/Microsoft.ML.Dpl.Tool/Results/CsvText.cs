using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>Escapes and quotes fields of a CSV file.</summary>
internal static class CsvText
{
    /// <param name="text">The value of the field.</param>
    /// <param name="isShown">Whether the field is shown on a terminal, so that control sequences in it must be escaped.</param>
    /// <param name="keepFormulas">Whether the field may start like a spreadsheet formula.</param>
    public static string Field(string text, bool isShown = false, bool keepFormulas = false)
    {
        if (isShown)
            text = ShownText.Escape(text, int.MaxValue);
        // CSV injection (OWASP): a spreadsheet treats such a field as a formula unless it starts with an apostrophe.
        bool isFormula = !keepFormulas && text is ['=' or '+' or '-' or '@' or '\t' or '\r', ..];
        if (isFormula)
            text = "'" + text;
        return isFormula || text.AsSpan().ContainsAny("\",\n\r") ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;
    }
}
