using System.Collections.Concurrent;
using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Report;
using Microsoft.ML.Dpl.Tool.Results;
using PuppeteerSharp;

namespace Microsoft.ML.Dpl.Tool.Tests.Report;

/// <summary>The page, also in headless Chromium. Screenshots are left in artifacts/report.</summary>
public class ReportPageTests
{
    private static readonly string[] Sections = ["accuracy", "lengths", "alphas", "settling", "training", "confusion", "mistakes", "calibration", "data", "asked", "cost", "versions"];
    private static readonly string Screenshots = Path.Combine(SharedData.RepositoryRoot, "artifacts", "report");

    [SkippableFact]
    public async Task A_browser_shows_every_part_without_network_on_any_screen()
    {
        using var fit = new ReportedFit();
        string file = Path.Combine(fit.Folder, "report.html");
        ReportPage.Write(fit.Full, file);
        await using IBrowser browser = await Chromium();
        await using IPage page = await browser.NewPageAsync();
        ConcurrentBag<string> requested = [], errors = [];
        page.Request += (_, e) => requested.Add(e.Request.Url);
        page.PageError += (_, e) => errors.Add(e.Message);
        page.Console += (_, e) => errors.Add(e.Message.Text);
        page.Dialog += async (_, e) => { errors.Add("a dialog: " + e.Dialog.Message); await e.Dialog.Dismiss(); };
        await page.GoToAsync("file://" + file);

        Assert.Equal(Sections, await page.EvaluateExpressionAsync<string[]>("[...document.querySelectorAll('section')].map(e => e.id)"));
        Assert.Equal(0, await page.EvaluateExpressionAsync<int>("document.querySelectorAll('section > .missing').length"));
        Assert.Equal(0, await page.EvaluateExpressionAsync<int>("document.querySelectorAll('script, [onerror]').length"));
        Assert.Equal(7, await page.EvaluateExpressionAsync<int>("document.querySelectorAll('svg.plot path').length > 7 ? document.querySelectorAll('svg.plot').length : 0"));
        Assert.Contains(ReportedFit.Hostile, await page.EvaluateExpressionAsync<string[]>("[...document.querySelectorAll('#data tbody th')].map(e => e.textContent)"));
        Assert.True(await page.EvaluateExpressionAsync<bool>("[...document.images].length > 8 && [...document.images].every(i => i.naturalWidth > 0)"));
        Assert.Equal("9", await page.EvaluateExpressionAsync<string>("'' + document.querySelectorAll('#alphas td.chosen').length"));
        foreach (var (name, width, scheme) in new[] { ("desktop", 1280, "light"), ("desktop-dark", 1280, "dark"), ("phone", 390, "light"), ("phone-dark", 390, "dark") })
        {
            await page.SetViewportAsync(new ViewPortOptions { Width = width, Height = 844 });
            await page.EmulateMediaFeaturesAsync([new MediaFeatureValue { MediaFeature = MediaFeature.PrefersColorScheme, Value = scheme }]);
            Assert.Equal(width, await page.EvaluateExpressionAsync<int>("document.documentElement.scrollWidth"));
            Directory.CreateDirectory(Screenshots);
            await page.ScreenshotAsync(Path.Combine(Screenshots, name + ".png"), new ScreenshotOptions { FullPage = true });
        }
        Assert.Empty(errors);
        Assert.All(requested, url => Assert.True(url.StartsWith("data:", StringComparison.Ordinal) || url == requested.Last(), url));
    }

    [Fact]
    public void Parts_without_data_say_why()
    {
        using var fit = new ReportedFit();
        string page = ReportPage.Html(fit.Bare);
        Assert.All(Sections, id => Assert.Contains($"<section id=\"{id}\">", page, StringComparison.Ordinal));
        Assert.Equal(10, page.Split("class=\"missing\"").Length - 1);
        Assert.DoesNotContain("<svg", page, StringComparison.Ordinal);
        Assert.Contains("lighting &lt;b&gt;", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Many_classes_are_named_in_pairs_and_a_cancelled_fit_says_so()
    {
        using var fit = new ReportedFit();
        string[] classes = [.. Enumerable.Range(0, 40).Select(i => $"class {i}")];
        TestResults test = TestResults.Of(classes, [new TestPrediction("0.png", classes[3], classes[5], 0.9, 0.1), new TestPrediction("0.png", classes[3], classes[3], 0.9, 0.9)]);
        string page = ReportPage.Html(fit.Bare with { Test = test, WasCancelled = true });
        Assert.Contains("<td>class 3</td><td>class 5</td><td class=\"number\">1 of 2</td>", page, StringComparison.Ordinal);
        Assert.Contains("cancelled", page, StringComparison.Ordinal);
    }

    private static Task<IBrowser> Chromium()
    {
        string path = Environment.GetEnvironmentVariable("CHROMIUM") ?? "/usr/bin/chromium";
        Skip.IfNot(File.Exists(path), $"there is no browser at {path}; install Debian's chromium or set CHROMIUM to one");
        return Puppeteer.LaunchAsync(new LaunchOptions
        {
            ExecutablePath = path,
            Headless = true,
            Args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
        });
    }
}
