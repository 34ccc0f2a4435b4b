using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Tests.Display;

/// <summary>Names from an untrusted zip or folder are shown in terminals and spreadsheets as plain text.</summary>
public class ShownNamesTests
{
    private static readonly string[] IsPlain = ["Markup.Escape", "Console.Out.Write", "Console.Error.Write"];

    // JSON escapes by itself; the last entry is the command's own sequence that shows the cursor again.
    private static readonly string[] IsJson = ["JsonSerializer", "ResultsJson", "[?25h"];

    [Theory]
    [InlineData("\u001b]0;title\u0007red", "\\u001b]]0;title\\u0007red")]
    [InlineData("\u009b2J", "\\u009b2J")]
    [InlineData("a\u202etxt.exe", "a\\u202etxt.exe")]
    [InlineData("[bold]x[/]", "[[bold]]x[[/]]")]
    [InlineData("Bl\u00fcte \ud83c\udf37", "Bl\u00fcte \ud83c\udf37")]
    public void Escapes_and_markup_in_a_cell_are_shown(string name, string cell) => Assert.Equal(cell, Terminal.Cell(name));

    [Fact]
    public void Lines_stay_lines_and_everything_in_them_is_shown() =>
        Assert.Equal("a\\u001b[1m\n b", ShownText.EscapeLines("a\u001b[1m\r\n b"));

    /// <summary>Only one place makes text safe; any code that writes to a terminal in another way is found here.</summary>
    [Fact]
    public void No_other_file_writes_plain_text()
    {
        string folder = Path.Combine(SharedData.RepositoryRoot, "src", "Microsoft.ML.Dpl.Tool");
        string[] sources =
        [
            .. new[] { "Commands", "Display", "Models", "Options", "Results" }
                .SelectMany(name => Directory.GetFiles(Path.Combine(folder, name), "*.cs"))
                .Concat(Directory.GetFiles(Path.Combine(folder, "Studies"), "*.cs", SearchOption.AllDirectories))
                .Concat(Directory.GetFiles(folder, "*.cs")),
        ];
        Assert.True(sources.Length > 50);
        Assert.DoesNotContain(
            sources
                // The samples share Interruption.cs and have no Terminal class; the file prints only fixed sentences without names.
                .Where(path => Path.GetFileName(path) is not ("Terminal.cs" or "Interruption.cs"))
                .SelectMany(path => File.ReadLines(path).Select(line => $"{Path.GetFileName(path)}: {line.Trim()}")),
            line => IsPlain.Any(words => line.Contains(words, StringComparison.Ordinal)) && !IsJson.Any(line.Contains)
        );
    }

    [Theory]
    [InlineData("=cmd|'/c calc'!A1", false, "\"'=cmd|'/c calc'!A1\"")]
    [InlineData("@x", false, "\"'@x\"")]
    [InlineData("-1", false, "\"'-1\"")]
    [InlineData("+a,\"b\"", false, "\"'+a,\"\"b\"\"\"")]
    [InlineData("=1", true, "=1")]
    [InlineData("rose", false, "rose")]
    public void A_field_of_csv_is_no_formula(string name, bool keepFormulas, string field)
    {
        using var output = new StringWriter();
        var writer = PredictionWriter.Create(PredictionFormat.Csv, [name, "other"], 1, output, keepFormulas);
        writer.Write("a.png", [0.75f, 0.25f], error: null);
        Assert.Equal($"a.png,{field},0.75", output.ToString().Split('\n')[1].TrimEnd());
    }

    [Fact]
    public void An_output_is_on_the_disk_before_it_has_its_name_and_its_folder_after()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("model.zip");
        var steps = new List<string>();
        OutputFile
            .Check(path, "--output")
            .Write(
                written => File.WriteAllText(written, "new"),
                file => steps.Add($"{File.ReadAllText(file)} {File.Exists(path)}"),
                at => steps.Add($"{at == folder.FullPath} {File.Exists(path)}")
            );
        Assert.Equal(["new False", "True True"], steps);
    }
}
