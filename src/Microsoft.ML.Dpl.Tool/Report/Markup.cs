using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>HTML that is safe to insert into a page: interpolated values are escaped unless they are <see cref="Markup"/>
/// themselves.</summary>
/// <param name="Html">The HTML, already escaped.</param>
internal readonly record struct Markup(string Html)
{
    public static Markup Empty { get; } = new("");

    /// <summary>Creates markup from an interpolated string: its literal text is kept as HTML, interpolated values are escaped.</summary>
    public static Markup Format(MarkupHandler handler) => new(handler.Html);

    /// <summary>Concatenates the parts.</summary>
    public static Markup Join(IEnumerable<Markup> parts) => new(string.Concat(parts.Select(part => part.Html)));
}

/// <summary>Escapes the interpolated values of a string, except <see cref="Markup"/>.</summary>
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
