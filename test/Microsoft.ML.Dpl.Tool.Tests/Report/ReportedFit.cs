using Microsoft.ML.Dpl.Tool.Results;
using SkiaSharp;

namespace Microsoft.ML.Dpl.Tool.Tests.Report;

/// <summary>Results of a fit with every section, hostile names, and images on disk.</summary>
internal sealed class ReportedFit : IDisposable
{
    public const string Hostile = "</td><script>alert('class')</script>&amp;\"x";
    public const string HostileFile = "a<img src=http:&&x onerror=1>.png";
    public static readonly string[] Classes = ["red", "green", Hostile, "a class with quite a long name that goes on and on"];

    public ReportedFit()
    {
        Directory.CreateDirectory(Folder);
        for (int i = 0; i < Classes.Length; i++)
            Draw(Path.Combine(Folder, $"{i}.png"), SKColor.FromHsl(90 * i, 60, 50));
        Draw(Path.Combine(Folder, HostileFile), SKColors.Teal);
    }

    public string Folder { get; } = Path.Combine(Path.GetTempPath(), "dpl-report-" + Guid.NewGuid().ToString("n"));

    public FitResults Full =>
        Bare with
        {
            Data = new DataResults(
                [new SplitSource("training", "images/train & <more>"), new SplitSource("test", "images/test")],
                [.. Classes.Select((name, i) => new ClassImages(name, [16, 25 + i], [$"{i}.png", HostileFile, "missing.png"]))]
            ),
            Search = Searched(20),
            Finalists =
            [
                new FinalistResults(new PromptConfiguration([2, 4, 6], [0, 4, 6, 2, 6, 4]), 0.512, 0.875, 0.31, true),
                new FinalistResults(new PromptConfiguration([4, 4, 4], [4, 4, 4, 4, 4, 4]), 0.634, 0.8125, 0.42, false),
            ],
            Training = new TrainingResults(
                [
                    .. Enumerable
                        .Range(0, 30)
                        .Select(e => new TrainingEpochResults(
                            0.0035,
                            2 * Math.Exp(-e / 8d) + 0.2,
                            1.6 * Math.Exp(-e / 9d) + 0.5,
                            1 - 0.7 * Math.Exp(-e / 7d)
                        )),
                ],
                0.95
            ),
            Configuration = new PromptConfiguration([2, 4, 6], [0, 4, 6, 2, 6, 4]),
            Design = Designed,
            Test = TestResults.From(Classes, Predictions),
            Comparison =
            [
                new ComparisonRow(
                    "zero-shot CLIP",
                    AccuracyInterval.Create(52, 104),
                    0.48,
                    new PromptConfiguration([0, 0, 0], [0, 0, 0, 0, 0, 0]),
                    PairedDifference.From(41, 6, 104),
                    3.5
                ),
                new ComparisonRow("uniform 4", AccuracyInterval.Create(70, 104)),
            ],
            Stages = [new StageCost("search", 83.4, 900L << 20), new StageCost("training", 41, 1200L << 20), new StageCost("test", 2.5)],
            ModelPath = "model.zip",
        };

    /// <summary>A design with hostile words and names.</summary>
    public static DesignResults Designed { get; } =
        new(
            $"coupled prompts, KgCoOp 8, teacher {Hostile}",
            new ContextResults(
                2,
                "end",
                true,
                Hostile,
                2 * Classes.Length,
                [
                    .. Classes.SelectMany(name =>
                        new[] { 1, 2 }.Select(number => new ContextVector(
                            name,
                            number,
                            [new NearbyWord("photo", 0.25), new NearbyWord(Hostile, 0.5), new NearbyWord("<|endoftext|>", 0.75)]
                        ))
                    ),
                ]
            ),
            ["a photo of a {}.", $"{{}} {Hostile}"],
            TeacherTemplates: null
        );

    /// <summary>The full results with many classes: names in several scripts, right-to-left ones and long ones; two test images in five are
    /// assigned to a nearby class.</summary>
    /// <param name="count">The number of classes.</param>
    public FitResults Many(int count)
    {
        string[] patterns =
        [
            "class {0}",
            "طائر أزرق {0}",
            "北京烤鸭 {0}",
            "Нижегородский кремль {0}",
            "a class with quite a long name {0} that goes on and on",
            "\u202Eesrever {0}",
            "🦜 <b>{0}</b> \"quoted\"",
        ];
        string[] names =
        [
            .. Enumerable
                .Range(0, count)
                .Select(i => string.Format(System.Globalization.CultureInfo.InvariantCulture, patterns[i % patterns.Length], i + 1)),
        ];
        return Full with
        {
            Data = new DataResults(
                Full.Data!.Splits,
                [.. names.Select((name, i) => new ClassImages(name, [16, 5], [$"{i % 4}.png", HostileFile]))]
            )
            {
                SetAside = "4 were set aside.",
            },
            Test = TestResults.From(
                names,
                [
                    .. Enumerable
                        .Range(0, 5 * count)
                        .Select(i => new TestPrediction(
                            $"{i % 4}.png",
                            names[i / 5],
                            names[i % 5 > 2 ? (i / 5 + i % 5) % count : i / 5],
                            0.5,
                            i % 5 > 2 ? 0.1 : 0.5
                        )),
                ]
            ),
        };
    }

    /// <summary>The results that every fit has, and nothing else.</summary>
    public FitResults Bare =>
        new(
            new AskedResults(
                "lighting <b>",
                "dpl fit 'images & more' --clip tiny --seed 1",
                Folder,
                [new NamedValue("--seed", "1"), new NamedValue("--template", "a photo of a {}.<i>")],
                1,
                new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero)
            ),
            new VersionResults("1.0.0", "5.0.1", "0.107.0", "2.10.0", "10.0.1", "Linux", "A processor", 2, 2, "cpu"),
            new BackboneResults("tiny-drawn", new string('a', 64), null, 48, 8, 128, new BranchShape(3, 128, 2), new BranchShape(6, 192, 3))
        );

    /// <summary>104 predictions, every sixth wrong.</summary>
    public static IReadOnlyList<TestPrediction> Predictions { get; } =
    [
        .. Enumerable
            .Range(0, 104)
            .Select(i =>
            {
                int truth = i % 4;
                bool wrong = i % 6 == 5;
                double probability = 0.4 + 0.6 * (i * 37 % 100) / 100;
                return new TestPrediction(
                    i % 10 == 1 ? HostileFile : $"{truth}.png",
                    Classes[truth],
                    Classes[wrong ? (truth + 1) % 4 : truth],
                    probability,
                    wrong ? 0.6 * (1 - probability) : probability
                );
            }),
    ];

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    private static SearchResults Searched(int epochs) =>
        SearchResults.From(
            MadeReport.Create(
                [0, 2, 4, 6],
                [.. Enumerable.Range(1, epochs).Select(e => new MadeReport.Epoch(0.0035, 2.0 / e, 2.4 / e, Alphas(3, e), Alphas(6, e)))]
            ),
            0.1
        );

    private static float[][] Alphas(int layers, int epoch) =>
        [
            .. Enumerable
                .Range(0, layers)
                .Select(l =>
                    Enumerable.Range(0, 4).Select(c => (float)(4 * Math.Sin(7 * l + 3 * c + 1) * (1 - Math.Exp(-epoch / 6d)))).ToArray()
                ),
        ];

    private static void Draw(string path, SKColor colour)
    {
        using var bitmap = new SKBitmap(64, 48);
        bitmap.Erase(colour);
        using SKData data = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        File.WriteAllBytes(path, data.ToArray());
    }
}
