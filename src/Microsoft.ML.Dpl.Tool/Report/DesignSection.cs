using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>The section about the prompt design, if it is not the plain method, and about the nearest words of a learned context.</summary>
internal static class DesignSection
{
    /// <summary>Creates the section; null if prompts were made and trained by the plain method.</summary>
    public static Section? Create(FitResults results)
    {
        if (results.Design is not { } design)
            return null;
        return new Section(
            "design",
            "How the prompts were made",
            Markup.Format(
                $"""<p>{design.Summary}.</p>{Templates("Class features are the mean of", design.Templates)}{Templates("The teacher read", design.TeacherTemplates)}{(design.Context is { } context ? Words(context) : Markup.Empty)}"""
            )
        );
    }

    private static Markup Templates(string what, IReadOnlyList<string>? templates) =>
        templates is null
            ? Markup.Empty
            : Markup.Format(
                $"""<details><summary>{what} {TemplatesText.Named(templates)}</summary><ul class="plain">{Markup.Join(templates.Select(text => Markup.Format($"<li><code>{text}</code></li>")))}</ul></details>"""
            );

    private static Markup Words(ContextResults context)
    {
        if (context.Vectors.Count == 0)
            return Markup.Empty;
        Markup rest =
            context.VectorCount > context.Vectors.Count
                ? Markup.Format($"<p>The first {context.Vectors.Count} of {context.VectorCount} vectors are shown.</p>")
                : Markup.Empty;
        Markup owner = context.ClassSpecific ? Markup.Format($"""<th scope="col">class</th>""") : Markup.Empty;
        Markup rows = Markup.Join(
            context.Vectors.Select(vector =>
                Markup.Format(
                    $"""
                    <tr>{(
                        vector.Class is { } name ? Markup.Format($"""<th scope="row">{name}</th>""") : Markup.Empty
                    )}<td class="number">{vector.Number}</td><td class="value">{Markup.Join(
                        vector.Words.Select((word, i) => Markup.Format($"""{(i > 0 ? ", " : "")}<span title="distance {word.Distance:0.000}">{word.Text}</span>"""))
                    )}</td></tr>
                    """
                )
            )
        );
        return Markup.Format(
            $"""
            <h3>The context as words</h3>
            <p>For each vector the tokens of CLIP's vocabulary whose embeddings lie nearest. A hint at most: what lies nearest may still be far.</p>{rest}
            <div class="wide tall"><table><thead><tr>{owner}<th scope="col" class="number">vector</th><th scope="col">nearest words</th></tr></thead><tbody>{rows}</tbody></table></div>
            """
        );
    }
}
