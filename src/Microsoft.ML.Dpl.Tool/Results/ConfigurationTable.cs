using System.Globalization;
using Microsoft.ML.Dpl.Tool.Display;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>Shows context lengths layer by layer, and how sure a search was of them.</summary>
internal static class ConfigurationTable
{
    public static void Write(PromptConfiguration configuration, DplSearchReport? search)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumn("prompt rows in layer");
        int layers = Math.Max(configuration.Text.Count, configuration.Image.Count);
        for (int layer = 1; layer <= layers; layer++) table.AddColumn(new TableColumn(layer.ToString(CultureInfo.InvariantCulture)).RightAligned());
        void Row<T>(string name, IReadOnlyList<T> values, string format)
            where T : IFormattable
            => table.AddRow([name, .. values.Select(value => value.ToString(format, CultureInfo.InvariantCulture)), .. Enumerable.Repeat("", layers - values.Count)]);
        Row("text", configuration.Text, "d");
        Row("image", configuration.Image, "d");
        if (search is not null)
        {
            Row("text, confidence", search.TextConfidence, "f2");
            Row("image, confidence", search.ImageConfidence, "f2");
        }
        Terminal.Out.Write(table);
    }
}
