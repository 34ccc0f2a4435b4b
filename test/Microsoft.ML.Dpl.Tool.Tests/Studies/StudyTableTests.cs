using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Studies.Runs;
using Microsoft.ML.Dpl.Tool.Studies.Table;

namespace Microsoft.ML.Dpl.Tool.Tests.Studies;

/// <summary>Means, intervals and differences compared with numbers computed by hand.</summary>
public sealed partial class StudyTableTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private int _files;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Means_go_over_seeds_and_averages_over_data_sets()
    {
        Few("a", 1, "m", 60);
        Few("a", 2, "m", 70);
        Few("b", 1, "m", 80);
        Few("b", 2, "m", 90);
        StudySection section = Assert.Single(Table().Sections);
        Assert.Equal("few-shot, 4 shots", section.Title);
        StudyCell cell = section.Cell("m", section.Columns[0])!;
        Assert.Equal(65, cell.Mean, 9);
        // Student's t · standard deviation / √n: 12.7062 · 7.0711 / √2
        Assert.Equal(63.531, cell.HalfWidth!.Value, 3);
        StudyCell average = section.Average("m")!;
        Assert.Equal(75, average.Mean, 9);
        // The interval of the seeds' averages, 70 and 80.
        Assert.Equal(63.531, average.HalfWidth!.Value, 3);
        Assert.Equal(["m", "65.0 ± 63.5", "85.0 ± 63.5", "75.0 ± 63.5"], Table().Sheets[0].Rows[0]);
    }

    [Fact]
    public void Differences_are_of_the_same_draw_and_what_learns_nothing_stands_beside_all()
    {
        Few("a", null, "zero", 50);
        Few("a", 1, "m", 60);
        Few("a", 2, "m", 40);
        Few("a", 1, "n", 65);
        Few("a", 3, "n", 10);
        StudySection section = Assert.Single(Table().Sections);
        Assert.Equal([10.0, -10.0], section.Differences("m", "zero", section.Columns).Select(Rounded));
        Assert.Equal([-10.0, 10.0], section.Differences("zero", "m", section.Columns).Select(Rounded));
        Assert.Equal([5.0], section.Differences("n", "m", section.Columns).Select(Rounded));
        var difference = StudyDifference.From([10, -10, 0, 10])!;
        Assert.Equal((4, 2.5, 2, 1), (difference.Pairs, difference.Mean, difference.Wins, difference.Losses));
        Assert.Null(StudyDifference.From([]));
    }

    [Fact]
    public void The_interval_of_few_differences_is_Students_and_that_of_one_is_left_out()
    {
        // Mean 2.5, standard deviation 9.5743, Student's t for 3 degrees of freedom: 3.1824 · 9.5743 / √4 = 15.2346
        (double low, double high) = StudyDifference.From([10, -10, 0, 10])!.Interval!.Value;
        Assert.Equal(2.5 - 15.2346, low, 3);
        Assert.Equal(2.5 + 15.2346, high, 3);
        // The bootstrap's interval lies within the differences.
        (low, high) = StudyDifference.From([10, -10, 0, 10, 0, 5])!.Interval!.Value;
        Assert.InRange(low, -10, 2.5);
        Assert.InRange(high, 2.5, 10);
        Assert.Null(StudyDifference.From([2])!.Interval);

        Few("a", 1, "m", 60);
        Few("a", 1, "n", 62);
        StudySheet differences = Table().Sheets.Single(sheet => sheet.Title == "Minus m");
        Assert.Equal(["few-shot, 4 shots", "n", "1", "+2.0", "–", "1 / 0 / 0"], differences.Rows[0]);
        Few("a", 2, "m", 60);
        Few("a", 2, "n", 66);
        differences = Table().Sheets.Single(sheet => sheet.Title == "Minus m");
        // 12.7062 · 2.8284 / √2
        Assert.Equal("−21.4 to +29.4", differences.Rows[0][4]);
    }

    [Fact]
    public void The_harmonic_mean_of_averages_is_that_of_the_papers()
    {
        foreach (var (data, old, other) in new[] { ("a", 80, 60), ("b", 60, 20) })
            Write("base-to-new", data, 1, "m", new TestFigures("base", 2, 100, old, 1), new TestFigures("new", 2, 100, other, 1));
        StudyTable table = Table();
        Assert.Equal(["base classes", "new classes", "harmonic mean of base and new classes"], table.Sections.Select(s => s.Measure));
        StudySection harmonic = table.Sections[2];
        Assert.Equal(2 * 80 * 60 / 140.0, harmonic.Cell("m", harmonic.Columns[0])!.Mean, 9);
        // The harmonic mean of the averages 70 and 40, not the mean of the two harmonic means.
        Assert.Equal(2 * 70 * 40 / 110.0, harmonic.Average("m")!.Mean, 9);
    }

    [Fact]
    public void A_transfer_averages_over_its_targets()
    {
        Write("cross-data-set", "s", 1, "m", new TestFigures("s", 2, 100, 90, 1), new("t", 2, 100, 40, 1), new("u", 2, 100, 60, 1));
        StudySection section = Assert.Single(Table().Sections);
        Assert.Equal(["s (source)", "t", "u"], section.Columns.Select(column => column.Name));
        Assert.Equal(50, section.Average("m")!.Mean, 9);
    }

    [Fact]
    public void Every_form_holds_the_figures_and_escapes_names()
    {
        Few("a_b", 1, "m|n <x> & 50 %", 60);
        Few("a_b", 1, "other, \"quoted\"", 62);
        StudyTable table = Table();
        string markdown = SheetText.Markdown(table.Sheets),
            latex = SheetText.Latex(table.Sheets),
            html = StudyPage.Html(table, "study"),
            csv = StudyCsv.Write(table);
        Assert.Contains("| m\\|n &lt;x> & 50 % | 60.0 |", markdown);
        Assert.Contains("m|n <x> \\& 50 \\% & 60.0 \\\\", latex);
        Assert.Contains("a\\_b", latex);
        Assert.Contains("<th scope=\"row\">m|n &lt;x&gt; &amp; 50 %</th><td>60.0</td>", html);
        Assert.Contains("few-shot,4,accuracy,a_b,\"other, \"\"quoted\"\"\",1,62,,m|n <x> & 50 %,1,2,,,7,3", csv);
        Assert.Equal(table.Sheets.Count, latex.Split("\\begin{table}").Length - 1);
    }

    [Fact]
    public void The_page_draws_accuracy_against_shots()
    {
        foreach (int shots in new[] { 1, 4, 16 })
            Few("a", 1, "m", 50 + shots, shots);
        Few("a", null, "zero", 40);
        string html = StudyPage.Html(Table(), "study");
        Assert.Contains("Accuracy against shots: few-shot", html);
        Assert.Contains("<svg", html);
        Assert.Equal(3, Table().Sections.Count);
        foreach (int method in Enumerable.Range(1, 8))
            Few("a", null, $"a method with a rather long name {method}", 40);
        // Every name of the legend starts within the plot, each below the previous one.
        double[] places =
        [
            .. XDocument
                .Parse(SvgElement().Match(StudyPage.Html(Table(), "study")).Value)
                .Descendants()
                .Where(text => text.Value.StartsWith("a method with", StringComparison.Ordinal) && text.Name.LocalName == "text")
                .Select(text => double.Parse(text.Attribute("y")!.Value, CultureInfo.InvariantCulture)),
        ];
        Assert.Equal(8, places.Length);
        Assert.Equal(places.Order(), places);
        Assert.Equal(8, places.Distinct().Count());
    }

    [GeneratedRegex("<svg.*?</svg>", RegexOptions.Singleline)]
    private static partial Regex SvgElement();

    [Fact]
    public void Files_that_are_no_results_are_told_and_left_out()
    {
        Few("a", 1, "m", 60);
        File.WriteAllText(_folder.File("other.json"), "[]");
        File.WriteAllText(_folder.File(".half.json"), "{");
        List<string> warnings = [];
        Assert.Single(StudyResults.Read(_folder.FullPath, warnings.Add).Runs);
        Assert.Contains("other.json' is not a result of a run", Assert.Single(warnings));
        Assert.Contains(
            "is not a method of these runs: 'm'",
            Assert
                .Throws<ArgumentException>(() => new StudyTable(StudyResults.Read(_folder.FullPath, _ => { }), "x", withSeconds: true))
                .Message
        );
    }

    [Fact]
    public void Runs_of_different_versions_are_told_beside_their_figures()
    {
        Few("a", 1, "m", 60, library: "0.2.0");
        Few("a", 2, "m", 70, library: "0.2.0");
        Assert.Null(Table().Results.MixedVersions);
        Assert.DoesNotContain("version", SheetText.Markdown(Table().Sheets));
        Few("a", 1, "n", 80, library: "0.3.0");
        // Older results did not record a version.
        Few("a", 2, "n", 80, library: null);
        string old = Directory.GetFiles(_folder.FullPath).Order(StringComparer.Ordinal).Last(),
            text = File.ReadAllText(old);
        Assert.Contains("\"library\": null", text);
        File.WriteAllText(old, LibraryProperty().Replace(text, ""));
        Assert.DoesNotContain("library", File.ReadAllText(old));
        string mixed =
            "The runs were made by different versions of the library, whose figures may differ: "
            + "1 of a version that they do not name, 2 of 0.2.0, 1 of 0.3.0.";
        Assert.Equal(mixed, Table().Results.MixedVersions);
        Assert.Contains(mixed, SheetText.Markdown(Table().Sheets));
        Assert.Equal(["n", "80.0 ± 0.0"], Table().Sheets[0].Rows[1]);
    }

    [Fact]
    public async Task Runs_with_different_settings_are_told_beside_their_figures()
    {
        Few("a", 1, "m", 60);
        Few("b", 1, "m", 60);
        Assert.Empty(Table().Results.MixedSettings);
        string changed = _folder.File("1.json");
        RunResult run = RunResult.TryRead(changed)!;
        RunSettings other = run.Settings with { Clip = "another", ClipSha256 = "01", Device = "cuda", Threads = 4, Template = "a {}" };
        File.WriteAllBytes(changed, (run with { Settings = other }).ToJson());
        string[] mixed =
        [
            "The runs were made with different CLIPs, whose figures may differ: 1 with tiny-drawn (SHA-256 00), "
                + "1 with another (SHA-256 01).",
            "The runs were made on different devices, whose figures may differ: 1 on cpu, 1 on cuda.",
            "The runs were made with different numbers of threads, whose figures may differ: 1 with 1, 1 with 4.",
        ];
        // Each data set may have a template of its own.
        Assert.Equal(mixed, Table().Results.MixedSettings);
        string markdown = SheetText.Markdown(Table().Sheets);
        Assert.All(mixed, sentence => Assert.Contains(sentence, markdown));
        Few("b", 2, "m", 60);
        Assert.Equal(
            "The runs were made with different templates for 'b', whose figures may differ: 1 with 'a {}', 1 with '{}'.",
            Table().Results.MixedSettings.Last()
        );
        ToolProcess.Outcome outcome = (await ToolProcess.Run("study", "table", _folder.FullPath)).Expect(0);
        Assert.Contains("on different devices, whose figures may differ: 2 on cpu, 1 on cuda.", outcome.Error);
    }

    [Fact]
    public void Results_that_name_no_version_are_not_mixed()
    {
        Few("a", 1, "m", 60, library: null);
        Few("a", 2, "m", 70, library: null);
        Assert.Null(Table().Results.MixedVersions);
    }

    [Fact]
    public async Task The_command_warns_of_different_versions_and_makes_the_table()
    {
        Few("a", 1, "m", 60, library: "0.2.0");
        Few("a", 2, "m", 70, library: "0.3.0");
        ToolProcess.Outcome outcome = (await ToolProcess.Run("study", "table", _folder.FullPath)).Expect(0);
        Assert.Contains("different versions of the library, whose figures may differ: 1 of 0.2.0, 1 of 0.3.0.", outcome.Error);
        Assert.Contains("| m | 65.0 ± 63.5 |", outcome.Output);
    }

    [GeneratedRegex(",\\s*\"library\": null")]
    private static partial Regex LibraryProperty();

    [Fact]
    public void Intervals_widen_as_Students_distribution_says()
    {
        Assert.Null(SeedInterval.HalfWidth([1]));
        double[] forty = [.. Enumerable.Range(0, 41).Select(i => i % 2 == 0 ? 1.0 : -1.0)];
        double deviation = Math.Sqrt(forty.Sum(v => Math.Pow(v - forty.Average(), 2)) / 40);
        // Student's t for 40 degrees of freedom is 2.0211.
        Assert.Equal(2.0211 * deviation / Math.Sqrt(41), SeedInterval.HalfWidth(forty)!.Value, 4);
    }

    private static double Rounded(double value) => Math.Round(value, 9);

    private void Few(string data, int? seed, string method, int right, int shots = 4, string? library = "0.1.0") =>
        Write("few-shot", data, seed, method, shots, library, new TestFigures("test", 2, 100, right, 1));

    private void Write(string protocol, string data, int? seed, string method, params TestFigures[] tests) =>
        Write(protocol, data, seed, method, 4, "0.1.0", tests);

    private void Write(string protocol, string data, int? seed, string method, int shots, string? library, params TestFigures[] tests)
    {
        var result = new RunResult(
            RunResult.CurrentForm,
            protocol,
            data,
            seed is null ? null : shots,
            seed,
            method,
            method,
            new RunSettings("tiny-drawn", "00", "cpu", 1, "{}", data),
            Learns: seed is not null,
            8,
            2,
            tests,
            7,
            null,
            null,
            3,
            1,
            [],
            library
        );
        File.WriteAllBytes(_folder.File($"{_files++.ToString(CultureInfo.InvariantCulture)}.json"), result.ToJson());
    }

    private StudyTable Table() => new(StudyResults.Read(_folder.FullPath, _ => { }), baseline: null, withSeconds: true);
}
