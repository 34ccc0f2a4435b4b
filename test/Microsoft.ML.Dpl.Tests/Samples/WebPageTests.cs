using System.Collections.Concurrent;
using PuppeteerSharp;

namespace Microsoft.ML.Dpl.Tests.Samples;

/// <summary>The page as a user sees it, in headless Chromium. Screenshots are left in artifacts/webapp.</summary>
public sealed class WebPageTests(ServedImages served) : IClassFixture<ServedImages>
{
    private static readonly string Screenshots = Path.Combine(SharedData.RepositoryRoot, "artifacts", "webapp");

    [SkippableFact]
    public async Task A_dropped_image_is_answered_with_bars_and_a_wrong_file_with_a_sentence()
    {
        await using IBrowser browser = await Chromium();
        await using WebServer server = await WebServer.StartReady("--model", served.Zip);
        await using IPage page = await browser.NewPageAsync();
        ConcurrentBag<string> requested = [],
            errors = [];
        page.Request += (_, e) => requested.Add(e.Request.Url);
        page.PageError += (_, e) => errors.Add(e.Message);
        page.Console += (_, e) =>
        {
            if (e.Message.Type == ConsoleType.Error)
                errors.Add(e.Message.Text);
        };
        // Smooth scrolling would move the page under the mouse.
        await page.EmulateMediaFeaturesAsync([
            new MediaFeatureValue { MediaFeature = MediaFeature.PrefersReducedMotion, Value = "reduce" },
        ]);
        await page.GoToAsync(server.Client.BaseAddress!.ToString());
        await page.WaitForFunctionAsync("() => document.getElementById('limit').textContent.includes('at most 10 MB')");

        await Drop(page, served.File1);
        await page.WaitForSelectorAsync("#result:not([hidden]):not(.waiting)", new WaitForSelectorOptions { Visible = true });
        Assert.Equal(served.Expected[0].PredictedLabel, await Text(page, "#answer"));
        string[] names = await page.EvaluateExpressionAsync<string[]>(
            "[...document.querySelectorAll('#bars .name')].map(e => e.textContent)"
        );
        Assert.Equal(
            served.ClassNames.Zip(served.Expected[0].Score).OrderByDescending(pair => pair.Second).Select(pair => pair.First),
            names
        );
        double[] widths = await page.EvaluateExpressionAsync<double[]>(
            "[...document.querySelectorAll('#bars .fill')].map(e => e.getBoundingClientRect().width / e.parentElement.clientWidth)"
        );
        Assert.Equal(served.Expected[0].Score.Max(), widths[0], 0.02);
        Assert.Equal(1, widths.Sum(), 0.05);
        Assert.True(await page.EvaluateExpressionAsync<bool>("document.getElementById('image').naturalWidth === 96"));

        Assert.True(
            await page.EvaluateExpressionAsync<bool>(
                "document.getElementById('map').checkVisibility() && document.getElementById('map').naturalWidth === 96"
            )
        );
        Assert.Equal(served.Expected[0].PredictedLabel, await Text(page, "#map-class"));
        string first = await page.EvaluateExpressionAsync<string>("document.getElementById('map').src");
        await page.ClickAsync("#bars li:nth-child(3) button");
        await page.WaitForFunctionAsync($"() => document.getElementById('map-class').textContent === '{names[2]}'");
        Assert.NotEqual(first, await page.EvaluateExpressionAsync<string>("document.getElementById('map').src"));
        await page.ClickAsync("#show-map");
        Assert.False(await page.EvaluateExpressionAsync<bool>("document.getElementById('map').checkVisibility()"));
        Assert.Empty(errors);
        // The displayed images are blob and data URLs of the page itself.
        Assert.All(requested.Where(url => url.StartsWith("http", StringComparison.Ordinal)), url =>
            Assert.StartsWith(server.Client.BaseAddress.ToString(), url)
        );

        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("notes.jpg"), "This is not an image.");
        await Drop(page, folder.File("notes.jpg"));
        await page.WaitForSelectorAsync("#problem:not([hidden])");
        Assert.Contains("Send a PNG, JPEG", await Text(page, "#problem"));
        Assert.Equal("none", await page.EvaluateExpressionAsync<string>("getComputedStyle(document.getElementById('result')).display"));

        IElementHandle input = await page.QuerySelectorAsync("#file");
        await input.UploadFileAsync(served.File1);
        await page.WaitForSelectorAsync("#result:not([hidden]):not(.waiting)");
        Assert.Equal("none", await page.EvaluateExpressionAsync<string>("getComputedStyle(document.getElementById('problem')).display"));
    }

    /// <summary>The image and the heat map over it lie the same way, whether the model turns images or not.</summary>
    [SkippableTheory]
    [InlineData(true, "from-image", 64, 96)]
    [InlineData(false, "none", 96, 64)]
    public async Task An_image_is_shown_as_the_model_turns_it(bool turns, string orientation, int width, int height)
    {
        await using IBrowser browser = await Chromium();
        await using WebServer server = await WebServer.StartReady("--model", turns ? served.SaveTurningModel() : served.Zip);
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("turned.jpg"), ServedImages.Oriented(96, 64, 6));
        await using IPage page = await Open(browser, server);
        await Drop(page, folder.File("turned.jpg"));
        await page.WaitForSelectorAsync("#result:not([hidden]):not(.waiting)", new WaitForSelectorOptions { Visible = true });
        await page.WaitForFunctionAsync("() => document.getElementById('map').naturalWidth > 0");
        Assert.Equal(
            orientation,
            await page.EvaluateExpressionAsync<string>("getComputedStyle(document.getElementById('image')).imageOrientation")
        );
        int[] size = await page.EvaluateExpressionAsync<int[]>(
            "[document.getElementById('map').naturalWidth, document.getElementById('map').naturalHeight]"
        );
        Assert.Equal((width, height), (size[0], size[1]));
    }

    /// <summary>The bars of an image still show while the next one is classified; using one must not end the classification.</summary>
    [SkippableFact]
    public async Task A_bar_of_the_last_image_does_not_abort_the_next_one()
    {
        await using IBrowser browser = await Chromium();
        // Every image waits a second for others, which leaves time to use a bar.
        await using WebServer server = await WebServer.StartReady("--model", served.Zip, "--Classifier:BatchWaitMilliseconds", "1000");
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("next.png"), served.Images[1]);
        await using IPage page = await Open(browser, server);
        await Drop(page, served.File1);
        await page.WaitForSelectorAsync("#result:not([hidden]):not(.waiting)", new WaitForSelectorOptions { Visible = true });

        await page.EvaluateExpressionAsync("document.getElementById('answer').textContent = ''");
        await Drop(page, folder.File("next.png"));
        await page.WaitForSelectorAsync("#result.waiting");
        await page.FocusAsync("#bars li:nth-child(2) button");
        await page.Keyboard.PressAsync("Enter");
        await page.ClickAsync("#bars li:nth-child(3) button");
        await page.WaitForSelectorAsync("#result:not(.waiting)");
        Assert.Equal(served.Expected[1].PredictedLabel, await Text(page, "#answer"));
        Assert.True(await page.EvaluateExpressionAsync<bool>("document.getElementById('result').checkVisibility()"));
    }

    /// <param name="demo">The demo whose images the small model is trained on.</param>
    /// <param name="classes">The number of classes; guessing gets one example right.</param>
    /// <param name="right">The number of examples that must be answered correctly.</param>
    [SkippableTheory]
    [InlineData("drawn", 8, 5)]
    [InlineData("eurosat", 10, 2)]
    [Trait("Category", "Slow")]
    public async Task Without_a_model_a_small_one_is_made_and_its_examples_are_answered_on_any_screen(string demo, int classes, int right)
    {
        await using IBrowser browser = await Chromium();
        using var folder = new TemporaryFolder();
        await using WebServer server = await WebServer.Start("--demo", demo, "--Classifier:DemoFolder", folder.File("demo"));
        Assert.Equal("starting", (await server.Health()).Status);
        using (HttpResponseMessage early = await server.Client.PostAsync("predict", new ByteArrayContent(served.Images[0])))
        {
            Assert.Equal(System.Net.HttpStatusCode.ServiceUnavailable, early.StatusCode);
            Assert.NotNull(early.Headers.RetryAfter?.Delta);
        }
        // How far the training is by now depends on the machine, but the page must say something.
        await using IPage page = await browser.NewPageAsync();
        await page.GoToAsync(server.Client.BaseAddress!.ToString());
        await page.WaitForFunctionAsync("() => !document.getElementById('model').textContent.startsWith('Looking')");
        await Screenshot(page, demo + "-starting");
        await server.Ready();

        await page.WaitForSelectorAsync("#examples:not([hidden]) button img");
        int answeredRight = 0;
        string[] examples = await page.EvaluateExpressionAsync<string[]>(
            "[...document.querySelectorAll('#examples img')].map(e => e.alt.replace('Example ', ''))"
        );
        Assert.Equal(classes, examples.Length);
        for (int i = 0; i < examples.Length; i++)
        {
            await page.EvaluateExpressionAsync("document.getElementById('answer').textContent = ''");
            await page.EvaluateExpressionAsync($"document.querySelectorAll('#examples button')[{i}].click()");
            await page.WaitForFunctionAsync("() => document.getElementById('answer').textContent !== ''");
            if (await Text(page, "#answer") == examples[i])
                answeredRight++;
        }
        Assert.InRange(answeredRight, right, classes);

        foreach (
            var (name, width, height, scheme) in new[]
            {
                ("desktop", 1280, 900, "light"),
                ("desktop-dark", 1280, 900, "dark"),
                ("phone", 390, 844, "light"),
                ("phone-dark", 390, 844, "dark"),
            }
        )
        {
            await page.SetViewportAsync(new ViewPortOptions { Width = width, Height = height });
            await page.EmulateMediaFeaturesAsync([
                new MediaFeatureValue { MediaFeature = MediaFeature.PrefersColorScheme, Value = scheme },
            ]);
            Assert.Equal(width, await page.EvaluateExpressionAsync<int>("document.documentElement.scrollWidth"));
            Assert.True(await page.EvaluateFunctionAsync<double>(Contrast) >= 4.5, $"{name}: text is hard to read");
            await Screenshot(page, $"{demo}-{name}");
        }
    }

    /// <summary>The lowest contrast (WCAG 2.2) between the page's texts and the page or card behind them.</summary>
    private const string Contrast = """
        () => {
            const luminance = colour => {
                const [r, g, b] = colour.match(/[\d.]+/g).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            const behind = element => {
                for (let e = element; e; e = e.parentElement) {
                    const colour = getComputedStyle(e).backgroundColor;
                    if (!colour.endsWith(', 0)')) return luminance(colour);
                }
                return 1;
            };
            return Math.min(...['h1', '#model', '#drop strong', '#drop small', '#answer', '.name', '.share', 'footer', 'a'].map(selector => {
                const element = document.querySelector(selector);
                return contrast(luminance(getComputedStyle(element).color), behind(element));
            }));
        }
        """;

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

    /// <summary>Opens the page of a server and waits until images can be given.</summary>
    private static async Task<IPage> Open(IBrowser browser, WebServer server)
    {
        IPage page = await browser.NewPageAsync();
        await page.GoToAsync(server.Client.BaseAddress!.ToString());
        await page.WaitForFunctionAsync("() => document.getElementById('limit').textContent.includes('at most 10 MB')");
        return page;
    }

    /// <summary>Drops a file onto the box as the operating system would.</summary>
    private static async Task Drop(IPage page, string file)
    {
        await page.EvaluateExpressionAsync("document.getElementById('drop').scrollIntoView()");
        BoundingBox box = await (await page.QuerySelectorAsync("#drop")).BoundingBoxAsync();
        var data = new
        {
            items = Array.Empty<object>(),
            files = new[] { file },
            dragOperationsMask = 1,
        };
        foreach (string type in new[] { "dragEnter", "dragOver", "drop" })
            await page.Client.SendAsync(
                "Input.dispatchDragEvent",
                new
                {
                    type,
                    x = box.X + box.Width / 2,
                    y = box.Y + box.Height / 2,
                    data,
                }
            );
    }

    private static Task<string> Text(IPage page, string selector) =>
        page.EvaluateFunctionAsync<string>("selector => document.querySelector(selector).textContent", selector);

    private static async Task Screenshot(IPage page, string name)
    {
        Directory.CreateDirectory(Screenshots);
        await page.ScreenshotAsync(Path.Combine(Screenshots, name + ".png"), new ScreenshotOptions { FullPage = true });
    }
}
