using System.Security.Cryptography;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Tests.Report;

/// <summary>dpl report as a process, on the results and the model of a real fit.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class ReportCommandTests(DrawnData data)
{
    [Fact]
    public async Task The_page_of_a_fit_has_its_images_and_heat_maps()
    {
        (await data.Fit()).Expect(0);
        string results = Path.ChangeExtension(data.Model, ".results.json"),
            page = Path.ChangeExtension(data.Model, ".report.html");
        ToolProcess.Outcome outcome = (await ToolProcess.Run("report", results)).Expect(0);
        Assert.Contains(page, outcome.Output, StringComparison.Ordinal);
        string html = File.ReadAllText(page);
        int wrong = ResultsJson.ReadFile(results).Test!.Predictions.Count(p => p.True != p.Predicted);
        Assert.Equal(Math.Min(wrong, 12), html.Split("alt=\"what speaks for ").Length - 1);
        Assert.Equal(
            8 * 3,
            html.Split("<td class=\"samples\">")[1..].Sum(row => row.Split("</td>")[0].Split("data:image/webp;base64,").Length - 1)
        );
        Assert.DoesNotContain("no image", html, StringComparison.Ordinal);

        string plain = data.File("plain.html");
        (await ToolProcess.Run("report", results, "--output", plain, "--model", "none")).Expect(0);
        Assert.DoesNotContain("what speaks for ", File.ReadAllText(plain), StringComparison.Ordinal);
    }

    /// <summary>The results contain everything that the page shows; the heat maps are recomputed from the saved model, bit for
    /// bit.</summary>
    [Fact]
    public async Task The_page_drawn_again_is_the_fits_own()
    {
        (await data.Fit()).Expect(0);
        string results = Path.ChangeExtension(data.Model, ".results.json"),
            page = data.File("again.html");
        (await ToolProcess.Run("report", results, "--output", page, "--threads", "2")).Expect(0);
        Assert.Equal(File.ReadAllText(Path.ChangeExtension(data.Model, ".report.html")), File.ReadAllText(page));
    }

    [Fact]
    public async Task Another_model_draws_no_heat_maps()
    {
        (await data.Fit()).Expect(0);
        string results = Path.ChangeExtension(data.Model, ".results.json"),
            other = data.File("other.zip"),
            moved = data.File("other.results.json"),
            page = data.File("other.html");
        (
            await ToolProcess.Run(
                "train",
                data.Table("train"),
                "--clip",
                "tiny-drawn",
                "--configuration",
                "zero-shot",
                "--output",
                other,
                "--json",
                "none",
                "--report",
                "none",
                "--quiet"
            )
        ).Expect(0);
        Assert.Contains(
            "other.zip' is not the model of these results",
            (await ToolProcess.Run("report", results, "--output", page, "--model", other)).Expect(2).Error,
            StringComparison.Ordinal
        );
        Assert.False(File.Exists(page));

        // If the model named by the results is gone, the one beside them is tried; without either, the page has no heat maps.
        File.WriteAllText(moved, ResultsJson.Write(ResultsJson.ReadFile(results) with { ModelPath = data.File("gone.zip") }));
        ToolProcess.Outcome outcome = (await ToolProcess.Run("report", moved, "--output", page)).Expect(0);
        Assert.Contains("Warning: There will be no heat maps:", Assert.Single(outcome.ErrorLines), StringComparison.Ordinal);
        Assert.Contains("There are no heat maps", File.ReadAllText(page), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_model_of_another_run_draws_no_heat_maps()
    {
        (await data.Fit()).Expect(0);
        FitResults results = ResultsJson.ReadFile(Path.ChangeExtension(data.Model, ".results.json"));
        Assert.Equal(Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(data.Model))).ToLowerInvariant(), results.ModelSha256);
        string copy = data.File("replaced.results.json"),
            page = data.File("replaced.html");
        File.WriteAllText(copy, ResultsJson.Write(results with { ModelSha256 = new string('0', 64) }));
        ToolProcess.Outcome outcome = (await ToolProcess.Run("report", copy, "--output", page)).Expect(0);
        Assert.Contains(
            "model.zip' is not the model of these results: its SHA-256 is another",
            Assert.Single(outcome.ErrorLines),
            StringComparison.Ordinal
        );
        Assert.DoesNotContain("what speaks for ", File.ReadAllText(page), StringComparison.Ordinal);

        // Older results do not have the SHA-256.
        File.WriteAllText(copy, ResultsJson.Write(results with { ModelSha256 = null }));
        outcome = (await ToolProcess.Run("report", copy, "--output", page)).Expect(0);
        Assert.DoesNotContain("no heat maps", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_are_no_results_is_refused_by_name()
    {
        string file = data.File("other.json");
        File.WriteAllText(file, "{}");
        Assert.Contains(file, (await ToolProcess.Run("report", file)).Expect(2).Error, StringComparison.Ordinal);
        Assert.Contains(
            "absent.json",
            (await ToolProcess.Run("report", data.File("absent.json"))).Expect(2).Error,
            StringComparison.Ordinal
        );
    }
}
