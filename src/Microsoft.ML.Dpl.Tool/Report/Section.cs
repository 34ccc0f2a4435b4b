namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>One part of the page.</summary>
/// <param name="Id">Letters and hyphens.</param>
/// <param name="Title">Its heading.</param>
/// <param name="Body">What stands below the heading.</param>
internal sealed record Section(string Id, string Title, Markup Body)
{
    /// <summary>A part whose data is not there.</summary>
    /// <param name="id">Letters and hyphens.</param>
    /// <param name="title">Its heading.</param>
    /// <param name="reason">One sentence.</param>
    public static Section Missing(string id, string title, string reason) =>
        new(id, title, Markup.Format($"""<p class="missing">{reason}</p>"""));

    public Markup ToMarkup() => Markup.Format($"""<section id="{Id}"><h2>{Title}</h2>{Body}</section>""");
}
