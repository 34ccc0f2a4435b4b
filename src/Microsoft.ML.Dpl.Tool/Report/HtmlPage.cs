using System.Reflection;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>Creates a self-contained HTML page.</summary>
internal static class HtmlPage
{
    private static readonly Lazy<Markup> Style = new(ReadStyle);

    /// <param name="name">The page's heading.</param>
    /// <param name="kind">The kind of page, for the title.</param>
    /// <param name="header">Content below the heading.</param>
    /// <param name="main">The main content.</param>
    public static string Create(string name, string kind, Markup header, Markup main) =>
        Markup
            .Format(
                $"""
                <!DOCTYPE html>
                <html lang="en">
                <head>
                <meta charset="utf-8">
                <meta name="viewport" content="width=device-width, initial-scale=1">
                <meta name="color-scheme" content="light dark">
                <meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
                <link rel="icon" href="data:,">
                <title>{name} – prompt learning {kind}</title>
                <style>{Style.Value}</style>
                </head>
                <body>
                <header><p class="kind">Differentiable Prompt Learning</p><h1 dir="auto">{name}</h1>{header}</header>
                <main>{main}</main>
                </body>
                </html>
                """
            )
            .Html + "\n";

    private static Markup ReadStyle()
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("report.css")
            ?? throw new InvalidOperationException("The application lacks its report.css.");
        using var reader = new StreamReader(stream);
        return new Markup(reader.ReadToEnd());
    }
}
