using System.Globalization;
using Microsoft.ML.Dpl.Tool.Display;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>Shows the prompt length of every layer and, after a search, the confidence of each choice.</summary>
internal static class ConfigurationTable
{
    public static void Write(PromptConfiguration configuration, SearchReport? search)
    {
        // One row per layer: with one column per layer, a large CLIP would not fit a terminal.
        var table = new Table().Border(TableBorder.Simple);
        foreach (
            string column in search is null
                ? ["layer", "text rows", "image rows"]
                : new[] { "layer", "text rows", "confidence", "image rows", "confidence" }
        )
            table.AddColumn(new TableColumn(column).RightAligned());
        for (int layer = 0; layer < Math.Max(configuration.Text.Count, configuration.Image.Count); layer++)
        {
            string Cell<T>(IReadOnlyList<T>? values, string format)
                where T : IFormattable =>
                values is not null && layer < values.Count ? values[layer].ToString(format, CultureInfo.InvariantCulture) : "";
            string text = Cell(configuration.Text, "d"),
                image = Cell(configuration.Image, "d"),
                number = (layer + 1).ToString(CultureInfo.InvariantCulture);
            table.AddRow(
                search is null
                    ? [number, text, image]
                    : new[] { number, text, Cell(search.TextConfidence, "f2"), image, Cell(search.ImageConfidence, "f2") }
            );
        }
        Terminal.Out.Write(table);
    }
}
