using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>HTML that is safe to put into a page: whatever is set into it is escaped, unless it is such markup itself.</summary>
/// <param name="Html">As it goes into the page.</param>
internal readonly record struct Markup(string Html)
{
    public static Markup Empty { get; } = new("");

    /// <summary>Takes an interpolated string: its own text is markup, what is set in is escaped.</summary>
    public static Markup Format(MarkupHandler handler) => new(handler.Html);

    /// <summary>One after the other.</summary>
    public static Markup Join(IEnumerable<Markup> parts) => new(string.Concat(parts.Select(part => part.Html)));
}

/// <summary>Escapes what is set into an interpolated string.</summary>
[InterpolatedStringHandler]
internal sealed class MarkupHandler(int literalLength, int formattedCount)
{
    private readonly StringBuilder _html = new(literalLength + 16 * formattedCount);

    public string Html => _html.ToString();

    public void AppendLiteral(string text) => _html.Append(text);

    public void AppendFormatted(Markup markup) => _html.Append(markup.Html);

    public void AppendFormatted(string? text) => _html.Append(WebUtility.HtmlEncode(text));

    public void AppendFormatted<T>(T value, string? format = null)
        where T : IFormattable => _html.Append(WebUtility.HtmlEncode(value.ToString(format, CultureInfo.InvariantCulture)));
}
