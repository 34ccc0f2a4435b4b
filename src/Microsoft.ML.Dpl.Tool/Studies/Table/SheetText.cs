using System.Text;
using Microsoft.ML.Dpl.Tool.Report;

namespace Microsoft.ML.Dpl.Tool.Studies.Table;

/// <summary>Formats sheets as Markdown, LaTeX and HTML.</summary>
internal static class SheetText
{
    public static string Markdown(IEnumerable<StudySheet> sheets)
    {
        var text = new StringBuilder();
        foreach (StudySheet sheet in sheets)
        {
            string Row(IEnumerable<string> cells) => $"| {string.Join(" | ", cells.Select(InMarkdown))} |\n";
            text.Append(text.Length > 0 ? "\n" : "")
                .Append($"## {InMarkdown(sheet.Title)}\n\n{InMarkdown(sheet.Note)}\n\n")
                .Append(Row(sheet.Header))
                .Append($"|{string.Concat(sheet.Header.Select((_, i) => i == 0 ? "---|" : "---:|"))}\n");
            foreach (IReadOnlyList<string> row in sheet.Rows)
                text.Append(Row(row));
        }
        return text.ToString();
    }

    /// <summary>Formats each sheet as a table environment that needs the package booktabs.</summary>
    public static string Latex(IEnumerable<StudySheet> sheets)
    {
        var text = new StringBuilder("% \\usepackage{booktabs}\n");
        foreach (StudySheet sheet in sheets)
        {
            string Row(IEnumerable<string> cells) => $"{string.Join(" & ", cells.Select(InLatex))} \\\\\n";
            text.Append("\n\\begin{table}\n\\centering\n")
                .Append($"\\caption{{{InLatex(sheet.Title)}. {InLatex(sheet.Note)}}}\n")
                .Append($"\\begin{{tabular}}{{l{new string('r', sheet.Header.Count - 1)}}}\n\\toprule\n")
                .Append(Row(sheet.Header))
                .Append("\\midrule\n");
            foreach (IReadOnlyList<string> row in sheet.Rows)
                text.Append(Row(row));
            text.Append("\\bottomrule\n\\end{tabular}\n\\end{table}\n");
        }
        return text.ToString();
    }

    public static Markup Html(StudySheet sheet)
    {
        Markup Cells(IEnumerable<string> cells) =>
            Markup.Join(
                cells.Select((cell, i) => i == 0 ? Markup.Format($"""<th scope="row">{cell}</th>""") : Markup.Format($"<td>{cell}</td>"))
            );
        Markup head = Markup.Join(sheet.Header.Select(cell => Markup.Format($"""<th scope="col">{cell}</th>"""))),
            body = Markup.Join(sheet.Rows.Select(row => Markup.Format($"<tr>{Cells(row)}</tr>\n")));
        return Markup.Format(
            $"""
            <p>{sheet.Note}</p>
            <div class="wide"><table><thead><tr>{head}</tr></thead><tbody>
            {body}</tbody></table></div>
            """
        );
    }

    private static string InMarkdown(string text) =>
        text.Replace("\\", "\\\\", StringComparison.Ordinal)
            .Replace("|", "\\|", StringComparison.Ordinal)
            .Replace("<", "&lt;", StringComparison.Ordinal)
            .Replace("*", "\\*", StringComparison.Ordinal)
            .ReplaceLineEndings(" ");

    private static string InLatex(string text)
    {
        var escaped = new StringBuilder();
        foreach (char c in text.ReplaceLineEndings(" "))
            escaped.Append(
                c switch
                {
                    '\\' => "\\textbackslash{}",
                    '~' => "\\textasciitilde{}",
                    '^' => "\\textasciicircum{}",
                    '±' => "$\\pm$",
                    '−' => "$-$",
                    '–' => "--",
                    '×' => "$\\times$",
                    '#' or '$' or '%' or '&' or '_' or '{' or '}' => $"\\{c}",
                    _ => $"{c}",
                }
            );
        return escaped.ToString();
    }
}
