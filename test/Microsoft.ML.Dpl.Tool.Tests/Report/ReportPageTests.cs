using System.Collections.Concurrent;
using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Report;
using Microsoft.ML.Dpl.Tool.Results;
using PuppeteerSharp;

namespace Microsoft.ML.Dpl.Tool.Tests.Report;

/// <summary>The report page, also in headless Chromium. Screenshots are left in artifacts/report.</summary>
public class ReportPageTests
{
    private static readonly string[] Sections =
    [
        "accuracy",
        "lengths",
        "alphas",
        "settling",
        "finalists",
        "training",
        "confusion",
        "mistakes",
        "calibration",
        "data",
        "asked",
        "cost",
        "versions",
    ];
    private static readonly string Screenshots = Path.Combine(SharedData.RepositoryRoot, "artifacts", "report");

    [SkippableFact]
    public async Task A_browser_shows_every_part_without_network_on_any_screen()
    {
        using var fit = new ReportedFit();
        string file = Path.Combine(fit.Folder, "report.html");
        ReportPage.Write(fit.Full, file);
        await using IBrowser browser = await Chromium();
        await using IPage page = await browser.NewPageAsync();
        ConcurrentBag<string> requested = [],
            errors = [];
        page.Request += (_, e) => requested.Add(e.Request.Url);
        page.PageError += (_, e) => errors.Add(e.Message);
        page.Console += (_, e) => errors.Add(e.Message.Text);
        page.Dialog += async (_, e) =>
        {
            errors.Add("a dialog: " + e.Dialog.Message);
            await e.Dialog.Dismiss();
        };
        await page.GoToAsync("file://" + file);

        Assert.Equal(
            Sections.Take(2).Append("design").Concat(Sections.Skip(2)),
            await page.EvaluateExpressionAsync<string[]>("[...document.querySelectorAll('section')].map(e => e.id)")
        );
        Assert.Equal(0, await page.EvaluateExpressionAsync<int>("document.querySelectorAll('section > .missing').length"));
        Assert.Equal(0, await page.EvaluateExpressionAsync<int>("document.querySelectorAll('script, [onerror]').length"));
        Assert.Equal(
            7,
            await page.EvaluateExpressionAsync<int>(
                "document.querySelectorAll('svg.plot path').length > 7 ? document.querySelectorAll('svg.plot').length : 0"
            )
        );
        Assert.Contains(
            ReportedFit.Hostile,
            await page.EvaluateExpressionAsync<string[]>("[...document.querySelectorAll('#data tbody th')].map(e => e.textContent)")
        );
        Assert.True(
            await page.EvaluateExpressionAsync<bool>(
                "[...document.images].length > 8 && [...document.images].every(i => i.naturalWidth > 0)"
            )
        );
        Assert.Equal("9", await page.EvaluateExpressionAsync<string>("'' + document.querySelectorAll('#alphas td.chosen').length"));
        foreach (
            var (name, width, scheme) in new[]
            {
                ("desktop", 1280, "light"),
                ("desktop-dark", 1280, "dark"),
                ("phone", 390, "light"),
                ("phone-dark", 390, "dark"),
            }
        )
        {
            await page.SetViewportAsync(new ViewPortOptions { Width = width, Height = 844 });
            await page.EmulateMediaFeaturesAsync([
                new MediaFeatureValue { MediaFeature = MediaFeature.PrefersColorScheme, Value = scheme },
            ]);
            Assert.Equal(width, await page.EvaluateExpressionAsync<int>("document.documentElement.scrollWidth"));
            Directory.CreateDirectory(Screenshots);
            await page.ScreenshotAsync(Path.Combine(Screenshots, name + ".png"), new ScreenshotOptions { FullPage = true });
        }
        Assert.Empty(errors);
        Assert.All(requested, url => Assert.True(url.StartsWith("data:", StringComparison.Ordinal) || url == requested.Last(), url));
    }

    /// <summary>What a reader would notice on a page with many classes: no word is cut off, darker means more weight in light and dark
    /// mode, and every confusion has a cell.</summary>
    [SkippableFact]
    public async Task A_browser_shows_many_classes_and_dark_means_much_in_light_and_dark()
    {
        using var fit = new ReportedFit();
        FitResults results = fit.Many(100);
        string file = Path.Combine(fit.Folder, "many.html");
        ReportPage.Write(results, file);
        await using IBrowser browser = await Chromium();
        await using IPage page = await browser.NewPageAsync();
        await page.GoToAsync("file://" + file);
        Assert.Equal(
            results.Test!.Confusion.Sum(row => row.Count(count => count > 0)),
            await page.EvaluateExpressionAsync<int>("document.querySelectorAll('.map rect:not(.ground)').length")
        );
        Assert.Contains(
            $"\u2068{results.Test.Classes[1]}\u2069 taken for \u2068{results.Test.Classes[4]}\u2069: 1 of 5",
            await page.EvaluateExpressionAsync<string[]>("[...document.querySelectorAll('.map title')].map(e => e.textContent)")
        );
        Assert.Equal(100, await page.EvaluateExpressionAsync<int>("document.querySelectorAll('#confusion details tbody tr').length"));
        Assert.Equal(100 * 2, await page.EvaluateExpressionAsync<int>("document.querySelectorAll('#data td img').length"));
        foreach (var (name, width, scheme) in new[] { ("many", 1280, "light"), ("many-phone-dark", 390, "dark") })
        {
            await page.SetViewportAsync(new ViewPortOptions { Width = width, Height = 844 });
            await page.EmulateMediaFeaturesAsync([
                new MediaFeatureValue { MediaFeature = MediaFeature.PrefersColorScheme, Value = scheme },
            ]);
            Assert.Equal(width, await page.EvaluateExpressionAsync<int>("document.documentElement.scrollWidth"));
            Assert.Empty(
                await page.EvaluateExpressionAsync<string[]>(
                    """
                    [...document.querySelectorAll('svg.plot text, svg.map text')].filter(text => {
                        const box = text.getBBox(), all = text.ownerSVGElement.viewBox.baseVal;
                        return box.x < -1 || box.y < -1 || box.x + box.width > all.width + 1 || box.y + box.height > all.height + 1;
                    }).map(text => text.textContent)
                    """
                )
            );
            double[] lightness = await page.EvaluateExpressionAsync<double[]>(
                """
                [...document.querySelectorAll('#alphas td')].sort((a, b) => parseFloat(a.style.getPropertyValue('--weight')) - parseFloat(b.style.getPropertyValue('--weight')))
                    .map(td => { const canvas = document.createElement('canvas').getContext('2d'); canvas.fillStyle = getComputedStyle(td).backgroundColor; canvas.fillRect(0, 0, 1, 1); return canvas.getImageData(0, 0, 1, 1).data[1]; })
                """
            );
            Assert.Equal(lightness.OrderDescending(), lightness);
            Assert.True(lightness[0] - lightness[^1] > 100, "the least and the greatest weight look alike");
            Directory.CreateDirectory(Screenshots);
            await page.ScreenshotAsync(Path.Combine(Screenshots, name + ".png"), new ScreenshotOptions { FullPage = true });
        }
    }

    [Fact]
    public void A_run_that_went_on_begins_where_it_was_interrupted_and_the_kept_epoch_is_named()
    {
        using var fit = new ReportedFit();
        TrainingEpochResults[] epochs =
        [
            .. Enumerable
                .Range(7, 4)
                .Select(epoch => new TrainingEpochResults(0.01, 1.0 / epoch, 1.0 / epoch, epoch is 8 or 9 ? 0.75 : 0.5, epoch)),
        ];
        string page = ReportPage.Html(fit.Bare with { Training = new TrainingResults(epochs, 0.75) });
        Assert.Contains("Epochs 1 to 6 were run before an interruption", page, StringComparison.Ordinal);
        Assert.Contains("those after epoch 9: they classify 75.0 %", page, StringComparison.Ordinal);
        // The best epoch was before the interruption and is not among the recorded ones.
        Assert.Contains(
            "The prompts that were kept classify 80.0 %",
            ReportPage.Html(fit.Bare with { Training = new TrainingResults(epochs, 0.8) }),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Leads_are_shown_where_they_were_counted()
    {
        using var fit = new ReportedFit();
        string page = ReportPage.Html(fit.Full);
        Assert.Contains(">+33.7 (+21.9 to +44.2)</td>", page, StringComparison.Ordinal);
        Assert.Contains("for comparison: zero-shot CLIP</th><td class=\"number\">3.5 s</td>", page, StringComparison.Ordinal);
        Assert.DoesNotContain("model's lead", ReportPage.Html(fit.Full with { Comparison = [] }), StringComparison.Ordinal);
    }

    [Fact]
    public void Finalists_are_listed_and_the_trained_one_is_told_from_the_others()
    {
        using var fit = new ReportedFit();
        string section = FinalistsSection.Create(fit.Full).Body.Html;
        string[] rows = section.Split("<tr class=")[1..];
        Assert.Equal(2, rows.Length);
        Assert.StartsWith("\"own\"", rows[0], StringComparison.Ordinal);
        Assert.Contains("0.512</td><td class=\"number\">87.5 %</td><td class=\"number\">0.310</td><td>trained</td>", rows[0]);
        Assert.Contains("<td></td>", rows[1], StringComparison.Ordinal);
    }

    /// <summary>The loss of guessing among four classes is ln 4 = 1.386.</summary>
    [Fact]
    public void Plots_of_losses_and_accuracies_show_what_guessing_comes_to()
    {
        using var fit = new ReportedFit();
        string page = ReportPage.Html(fit.Full);
        Assert.Equal(2, page.Split(">guessing (ln 4)</text>").Length - 1);
        Assert.Equal(1, page.Split(">guessing (1 / 4)</text>").Length - 1);
        Assert.Equal(2, page.Split("; guessing comes to 1.386.").Length - 1);
        // Where the classes are unknown, guessing is not mentioned.
        Assert.DoesNotContain("guessing", ReportPage.Html(fit.Full with { Test = null, Data = null }), StringComparison.Ordinal);
    }

    [Fact]
    public void A_training_on_the_validation_rows_claims_no_validation_of_its_own()
    {
        using var fit = new ReportedFit();
        FitResults refitted = fit.Full with { Training = new TrainingResults([new TrainingEpochResults(0.01, 0.5, null, null)], 0.875) };
        string section = EpochSections.Training(refitted).Body.Html;
        Assert.Contains("87.5 % is that of the short training", section, StringComparison.Ordinal);
        Assert.Contains("The validation rows were trained on, too, so", section, StringComparison.Ordinal);
        Assert.Contains(
            "There were no validation rows",
            EpochSections.Training(refitted with { Finalists = [] }).Body.Html,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Parts_without_data_say_why()
    {
        using var fit = new ReportedFit();
        string page = ReportPage.Html(fit.Bare);
        Assert.All(Sections, id => Assert.Contains($"<section id=\"{id}\">", page, StringComparison.Ordinal));
        Assert.Equal(11, page.Split("class=\"missing\"").Length - 1);
        Assert.DoesNotContain("<svg", page, StringComparison.Ordinal);
        Assert.Contains("lighting &lt;b&gt;", page, StringComparison.Ordinal);
    }

    [Fact]
    public void A_design_is_told_with_a_contexts_nearest_words_and_nothing_in_it_is_markup()
    {
        using var fit = new ReportedFit();
        string section = DesignSection.Create(fit.Full)!.Body.Html;
        Assert.StartsWith("<p>coupled prompts, KgCoOp 8, teacher &lt;/td&gt;", section, StringComparison.Ordinal);
        Assert.Equal(2 * ReportedFit.Classes.Length, section.Split("title=\"distance 0.250\">photo</span>").Length - 1);
        Assert.Contains("&lt;|endoftext|&gt;", section, StringComparison.Ordinal);
        Assert.Contains("Class features are the mean of 2 templates", section, StringComparison.Ordinal);
        Assert.DoesNotContain("<script>", section, StringComparison.Ordinal);
        Assert.DoesNotContain("are shown", section, StringComparison.Ordinal);
        ContextResults some = ReportedFit.Designed.Context! with { VectorCount = 1000 };
        Assert.Contains(
            "The first 8 of 1000 vectors are shown.",
            DesignSection.Create(fit.Full with { Design = ReportedFit.Designed with { Context = some } })!.Body.Html,
            StringComparison.Ordinal
        );
        Assert.DoesNotContain("<section id=\"design\">", ReportPage.Html(fit.Bare), StringComparison.Ordinal);
    }

    [Fact]
    public void Lengths_of_zero_beside_a_context_are_no_zero_shot_model()
    {
        using var fit = new ReportedFit();
        FitResults zero = fit.Full with { Configuration = new PromptConfiguration([0, 0, 0], [0, 0, 0, 0, 0, 0]) };
        Assert.DoesNotContain("did not beat zero-shot", WarningBox.Create(zero).Html, StringComparison.Ordinal);
        Assert.Contains("did not beat zero-shot", WarningBox.Create(zero with { Design = null }).Html, StringComparison.Ordinal);
    }

    [Fact]
    public void Many_classes_are_named_in_pairs_and_a_cancelled_fit_says_so()
    {
        using var fit = new ReportedFit();
        string[] classes = [.. Enumerable.Range(0, 40).Select(i => $"class {i}")];
        TestResults test = TestResults.From(
            classes,
            [new TestPrediction("0.png", classes[3], classes[5], 0.9, 0.1), new TestPrediction("0.png", classes[3], classes[3], 0.9, 0.9)]
        );
        string page = ReportPage.Html(fit.Bare with { Test = test, WasCancelled = true });
        Assert.Contains("<td>class 3</td><td>class 5</td><td class=\"number\">1 of 2</td>", page, StringComparison.Ordinal);
        Assert.Contains("cancelled", page, StringComparison.Ordinal);
    }

    private static Task<IBrowser> Chromium()
    {
        string path = Environment.GetEnvironmentVariable("CHROMIUM") ?? "/usr/bin/chromium";
        Skip.IfNot(File.Exists(path), $"there is no browser at {path}; install Debian's chromium or set CHROMIUM to one");
        return Puppeteer.LaunchAsync(
            new LaunchOptions
            {
                ExecutablePath = path,
                Headless = true,
                Args =
                [
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--no-first-run",
                ],
            }
        );
    }
}
