namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>One section of the report page.</summary>
/// <param name="Id">The id of the HTML element: letters and hyphens.</param>
/// <param name="Title">The heading.</param>
/// <param name="Body">The content below the heading.</param>
internal sealed record Section(string Id, string Title, Markup Body)
{
    /// <summary>Creates a section whose data is missing.</summary>
    /// <param name="id">The id of the HTML element: letters and hyphens.</param>
    /// <param name="title">The heading.</param>
    /// <param name="reason">Why the data is missing, in one sentence.</param>
    public static Section Missing(string id, string title, string reason) =>
        new(id, title, Markup.Format($"""<p class="missing">{reason}</p>"""));

    public Markup ToMarkup() => Markup.Format($"""<section id="{Id}"><h2>{Title}</h2>{Body}</section>""");
}
