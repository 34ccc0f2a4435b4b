using System.Text;
using Microsoft.ML.Dpl.Embedding;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Tests.Images;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Fuzzing;

/// <summary>All readers of untrusted bytes. For a new format, add its target to one of the lists below and its name to
/// <see cref="Names"/>.</summary>
public sealed class FuzzTargets : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ModelZipTargets _zips;
    private readonly ClipTargets _clip;
    private readonly List<FuzzTarget> _all;

    public FuzzTargets()
    {
        string folder = _folder.File("cases");
        Directory.CreateDirectory(folder);
        _zips = new ModelZipTargets(folder);
        _clip = new ClipTargets(folder);
        _all =
        [
            Images(),
            Description(),
            Embedding(),
            Configuration(),
            Checkpoints(folder),
            .. _clip.All,
            .. _zips.All,
            .. new ExchangeTargets(folder).All,
        ];
        Assert.Equal(Names.Order(StringComparer.Ordinal), _all.Select(target => target.Name).Order(StringComparer.Ordinal));
    }

    public static string[] Names { get; } =
    [
        "images",
        "dpl.json",
        "clip-embedding.json",
        "prompt-configuration",
        "checkpoint",
        "safetensors",
        "safetensors-stream",
        "safetensors-index",
        "config.json",
        "open_clip_config.json",
        "preprocessor_config.json",
        "vocabulary",
        "openai-vocabulary",
        "clip-folder",
        "openai-weights",
        "carried-arrays",
        "carried-weights",
        "prompts",
        "mixture",
        "context",
        "model-zip-entries",
        "model-zip",
        "model-info",
        "torch-archive",
        "npy",
        "prompts-file",
        "prompts-folder",
        "tokenizer.json",
    ];

    internal int Shares => _all.Sum(target => target.Share);

    internal FuzzTarget Named(string name) => _all.Single(target => target.Name == name);

    /// <summary>Asserts that no unpacked file is left behind, and that nothing was written outside the readers' folder.</summary>
    internal void AssertNothingLeft()
    {
        _zips.AssertNothingLeft();
        Assert.Equal(["cases"], Directory.EnumerateFileSystemEntries(_folder.FullPath).Select(Path.GetFileName));
    }

    public void Dispose()
    {
        _clip.Dispose();
        _folder.Dispose();
    }

    private static FuzzTarget Images()
    {
        const long pixels = 1 << 16;
        byte[][] seeds = ImageSeeds.All;
        var mutator = new Mutator(seeds);
        return new FuzzTarget(
            "images",
            26,
            random => mutator.Next(random) is var bytes && random.Next(2) == 0 ? ImageBytes.WithChecksums(bytes) : bytes,
            bytes =>
            {
                RgbImage image = ImageDecoder.FromBytes(bytes, "fuzzed", pixels, applyExifOrientation: true);
                Assert.InRange((long)image.Width * image.Height, 1, pixels);
            },
            typeof(InvalidDataException)
        )
        {
            Whole = seeds,
            BytesAtLeast = 16 * pixels + (1 << 16),
            BytesPerByte = 4,
        };
    }

    private static FuzzTarget Description()
    {
        string search =
            """{"candidates":[0,2],"epochs":[{"learningRate":0.1,"trainLoss":1,"validationLoss":2,"alphas":{"image":[[0.5,1]],"text":[[0,1]]}}]}""";
        string whole =
            $$"""{"backbone":{"name":"a","sha256":"00","location":"/a","vocabulary":null},"template":"a {}.","textLengths":[0],"imageLengths":[2],"validationAccuracy":0.5,"search":{{search}},"imageFolder":null,"wasCancelled":false,"carries":"none","applyExifOrientation":true,"maxImagePixels":1000}""";
        return Text("dpl.json", 8, whole, text => StoredDescription.FromJson(text), typeof(InvalidDataException));
    }

    private static FuzzTarget Embedding() =>
        Text(
            "clip-embedding.json",
            2,
            """{"input":"text","backbone":{"name":"a","sha256":"00","location":"/a","vocabulary":null},"normalize":true,"carriesClip":false,"imageFolder":null,"applyExifOrientation":true,"maxImagePixels":1000,"refuseLongTexts":true}""",
            text => EmbeddingDescription.FromJson(text),
            typeof(InvalidDataException)
        );

    private static FuzzTarget Configuration() =>
        Text(
            "prompt-configuration",
            4,
            """{"text":[6,4,0],"image":[0,2,6]}""",
            text =>
            {
                if (text.StartsWith('t'))
                    _ = PromptConfiguration.Parse(text);
                else
                    _ = PromptConfiguration.FromJson(text);
            },
            typeof(FormatException),
            more: "text 6 4 0 | image 0 2 6"
        );

    private static FuzzTarget Checkpoints(string folder)
    {
        using var stream = new MemoryStream();
        using (Tensor values = arange(6f, ScalarType.Float32).reshape(2, 3))
            CheckpointFile.Write(
                stream,
                new Checkpoint(
                    new Dictionary<string, string> { ["stage"] = "search", ["course"] = "{}" },
                    new Dictionary<string, Tensor> { ["a"] = values, ["b"] = values }
                )
            );
        byte[] whole = stream.ToArray();
        var mutator = new Mutator(whole);
        string path = Path.Combine(folder, "checkpoint");
        return new FuzzTarget(
            "checkpoint",
            4,
            mutator.Next,
            bytes =>
            {
                File.WriteAllBytes(path, bytes);
                CheckpointFile.Read(path).Dispose();
            },
            typeof(InvalidDataException)
        )
        {
            Whole = [whole],
        };
    }

    private static FuzzTarget Text(string name, int share, string seed, Action<string> read, Type documented, string? more = null)
    {
        byte[][] seeds = [Encoding.UTF8.GetBytes(seed), .. more is null ? [] : new[] { Encoding.UTF8.GetBytes(more) }];
        return new FuzzTarget(name, share, new Mutator(seeds).Next, bytes => read(Encoding.UTF8.GetString(bytes)), documented)
        {
            Whole = seeds,
        };
    }
}
