using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using PretrainTinyClip;
using PretrainTinyClip.Photographs;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Samples;

/// <summary>The sample's training on photographs, with a few images in the layouts of its sources and a trivial teacher.</summary>
[Collection(RunsAlone.Name)]
public sealed class PhotographTrainingTests : IDisposable
{
    private static readonly PhotographSettings Few = new(Steps: 6, Photographs: 12, Drawings: 4);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dpl-photographs-");
    private readonly int _threads = get_num_threads();

    public PhotographTrainingTests()
    {
        set_num_threads(1);
        PhotographFiles.WriteTinyImageNet(Data);
        PhotographFiles.WriteCaltech(Data, HeldOut);
        PhotographFiles.WriteWordNet(_folder.FullName);
    }

    private string Data => Path.Combine(_folder.FullName, "data");

    private string HeldOut => Path.Combine(_folder.FullName, "held-out");

    public void Dispose()
    {
        set_num_threads(_threads);
        _folder.Delete(recursive: true);
    }

    [Fact]
    public void Images_of_the_tables_are_left_out_and_classes_have_their_names()
    {
        var folders = new PhotographFolders(Data, HeldOut);
        Assert.Equal(["tabby", "sports car", "airplane", "wild cat"], folders.Classes.Select(c => c.Name));
        Assert.DoesNotContain(folders.Photographs, p => p.Path.EndsWith("airplanes/image_0002.jpg", StringComparison.Ordinal));
        Assert.Equal(4 + 4 + 2 + 3 + 1, folders.Photographs.Count);
        Assert.Equal(-1, Assert.Single(folders.Photographs, p => p.Path.Contains("BACKGROUND", StringComparison.Ordinal)).Class);
        Assert.Equal([1], folders.Validation(Data).Select(v => v.Class));

        var missing = Assert.Throws<DirectoryNotFoundException>(() => new PhotographFolders(HeldOut, null));
        Assert.Contains("--photographs", missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Captions_name_synonyms_and_kinds()
    {
        var words = new WordNet(_folder.FullName);
        Assert.Equal(["tabby", "tabby cat"], words.Names("n00000003", ""));
        Assert.Equal(["cat", "animal"], words.Above("n00000003", ""));
        Assert.Equal(["animal"], words.Above("", "cat"));
        Assert.Empty(words.Above("", "unheard of"));

        var captions = new PhotographCaptions(new PhotographFolders(Data, HeldOut).Classes, words);
        Assert.Equal("a photo of a tabby.", captions.Plain(0));
        string[] drawn = [.. Enumerable.Range(0, 200).Select(i => captions.Draw(new Random(i))[0])];
        Assert.All(drawn, caption => Assert.Contains("tabby", caption, StringComparison.Ordinal));
        Assert.Contains(drawn, caption => caption.Contains("tabby cat", StringComparison.Ordinal));
        Assert.Contains(drawn, caption => caption.Contains("kind of animal", StringComparison.Ordinal));
    }

    [Fact]
    public void A_preparation_that_is_cut_short_ends_with_the_files_of_one_that_is_not()
    {
        Prepare("whole");
        Prepare("cut");
        foreach (string name in new[] { "pixels.bin", "pooled.bin", "maps.bin" })
        {
            string path = Path.Combine(_folder.FullName, "cut", name);
            using FileStream file = File.OpenWrite(path);
            file.SetLength(file.Length * 2 / 3); // in the middle of a row
        }
        Prepare("cut");
        foreach (string name in new[] { "pixels.bin", "pooled.bin", "maps.bin", "basis.bin" })
            Assert.Equal(
                File.ReadAllBytes(Path.Combine(_folder.FullName, "whole", name)),
                File.ReadAllBytes(Path.Combine(_folder.FullName, "cut", name))
            );

        File.Delete(Path.Combine(Data, "caltech101", "101_ObjectCategories", "airplanes", "image_0001.jpg"));
        var other = Assert.Throws<InvalidDataException>(() => Prepare("cut"));
        Assert.Contains("--cache", other.Message, StringComparison.Ordinal);
    }

    /// <summary>The teacher's features are the brightness of each cell; in a mirrored crop of an image with one bright side they must
    /// be high on the mirrored side.</summary>
    [Fact]
    public void What_the_teacher_saw_stays_at_its_place_in_crops_and_mirrored_images()
    {
        PhotographCache cache = Prepare("cache");
        var folders = new PhotographFolders(Data, HeldOut);
        using var batches = new PhotographBatches(cache, folders.Photographs, 48, 112, _ => 49, firstBatch: 0, seed: 3);
        PhotographBatch batch = batches.Next(CancellationToken.None);
        int bright = 0;
        for (int i = 0; i < 48; i++)
        {
            // The brightness that the student sees in a patch must correlate with the teacher's first component there.
            var seen = new double[49];
            var told = new double[49];
            for (int k = 0; k < 49; k++)
            {
                int patch = (int)batch.Kept[i * 49 + k];
                told[patch] = batch.Cells[(i * 49 + k) * PhotographCache.Components];
                for (int y = 0; y < 16; y++)
                for (int x = 0; x < 16; x++)
                    seen[patch] += batch.Pixels[((i * 112 + patch / 7 * 16 + y) * 112 + patch % 7 * 16 + x) * 3];
            }
            double correlation = Correlation(seen, told);
            if (!double.IsNaN(correlation))
                Assert.True(Math.Abs(correlation) > 0.8, $"image {i}: {correlation}");
            bright += double.IsNaN(correlation) ? 0 : 1;
        }
        Assert.True(bright > 24, $"{bright}");
    }

    [Fact]
    public void A_run_that_is_resumed_ends_with_the_bits_of_one_that_is_not()
    {
        PhotographCache cache = Prepare("cache");
        using PhotographTraining whole = Begin(cache, "whole-model");
        Run(whole, int.MaxValue);
        Assert.Equal(6, whole.Position.Step);

        string checkpoint = Path.Combine(_folder.FullName, "run.checkpoint");
        using (PhotographTraining half = Begin(cache, "half-model"))
        {
            Run(half, 3);
            Assert.Equal(3, half.Position.Step);
            half.SaveCheckpoint(checkpoint);
        }
        using PhotographTraining rest = Begin(cache, "rest-model");
        rest.Resume(checkpoint);
        Run(rest, int.MaxValue);
        using var scope = NewDisposeScope();
        foreach (var (name, value) in whole.Clip.Values)
            Assert.Equal(value.data<float>().ToArray(), rest.Clip.Values[name].data<float>().ToArray());
    }

    /// <summary>Losses over the whole batch and sums of gradients do not depend on who computed which part.</summary>
    [Fact]
    public void Workers_that_share_a_step_take_the_step_of_one()
    {
        PhotographCache cache = Prepare("cache");
        double[]?[] losses = new double[4][];
        var values = new Dictionary<string, float[]>[4];
        foreach (int workers in new[] { 1, 2, 3 })
        {
            using PhotographTraining training = Begin(cache, $"model-{workers}", Few with { Workers = workers });
            using var stop = new CancellationTokenSource();
            training.Run(
                (_, means, _, _) =>
                {
                    losses[workers] = [means.Classes, means.Drawings, means.Pooled, means.Cells];
                    stop.Cancel();
                },
                1,
                () => { },
                TimeSpan.MaxValue,
                stop.Token
            );
            values[workers] = training.Clip.Values.ToDictionary(v => v.Key, v => v.Value.data<float>().ToArray());
        }
        foreach (int workers in new[] { 2, 3 })
        {
            for (int i = 0; i < 4; i++)
                Assert.Equal(losses[1]![i], losses[workers]![i], 2e-5);
            // The first step of AdamW and Muon has a size of its own, so only directions can differ by rounding.
            foreach (var (name, expected) in values[1])
                Assert.True(
                    expected.Zip(values[workers][name], (a, b) => Math.Abs(a - b)).Average() < 1e-6,
                    $"{name} with {workers} workers"
                );
        }
    }

    [Fact]
    public void A_run_begins_with_the_weights_of_an_earlier_one()
    {
        PhotographCache cache = Prepare("cache");
        using PhotographTraining first = Begin(cache, "first");
        Run(first, 3);
        first.SaveModel();
        using PhotographTraining second = Begin(cache, "second", Few with { Seed = 2 });
        second.BeginFrom(first.Folder);
        Assert.Equal(0, second.Position.Step);
        foreach (var (name, value) in first.Clip.Values)
            Assert.All(value.data<float>().Zip(second.Clip.Values[name].data<float>()), pair =>
                Assert.Equal(pair.First, pair.Second, 2e-3 * Math.Max(1, Math.Abs(pair.First))) // saved in float16
            );

        string vocabulary = Path.Combine(first.Folder, "vocab.json");
        File.WriteAllText(vocabulary, File.ReadAllText(vocabulary).Replace("\"photo", "\"phoot", StringComparison.Ordinal));
        var other = Assert.Throws<InvalidDataException>(() => second.BeginFrom(first.Folder));
        Assert.Contains("--initial", other.Message, StringComparison.Ordinal);
        var output = Assert.Throws<InvalidDataException>(() => Begin(cache, "first"));
        Assert.Contains("--output", output.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_Tiny_ImageNet_a_run_is_evaluated_on_Caltech101_alone()
    {
        Directory.Delete(Path.Combine(Data, PhotographFiles.TinyImageNet), recursive: true);
        PhotographFiles.Paint(Path.Combine(HeldOut, "images", "airplanes", "image_0002.jpg"), 150, 100, side: 2);
        var folders = new PhotographFolders(Data, HeldOut);
        IReadOnlyList<Photograph> validation = folders.Validation(Data);
        Assert.Empty(validation);

        using PhotographTraining training = Begin(Prepare("cache"), "model");
        IReadOnlyList<ZeroShotResult> Evaluate(string? caltech) =>
            new PhotographEvaluation(validation, caltech).Run(training, folders.BySynset.Count, count: 10);
        // There is only one class to choose from.
        Assert.Equal(new ZeroShotResult("Caltech101", 1, 1, 1, 1), Assert.Single(Evaluate(Path.Combine(HeldOut, "test.tsv"))));
        Assert.Empty(Evaluate(null));
    }

    [Fact]
    public void The_saved_folder_computes_what_was_trained()
    {
        PhotographCache cache = Prepare("cache");
        using PhotographTraining training = Begin(cache, "model");
        Run(training, 2);
        training.SaveModel();
        ClipBackbone saved = ClipBackbone.FromFolder(training.Folder);
        Assert.Equal(training.Clip.Config, saved.Config);

        var photograph = new PhotographFolders(Data, HeldOut).Photographs[^1];
        byte[] pixels = PhotographFolders.Square(photograph with { Side = 112 });
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        float[] trained = [.. training.UnitImages(pixels, 1).data<float>()];

        var mlContext = new MLContext(1);
        IDataView rows = mlContext.Data.LoadFromEnumerable([new Shown { ImagePath = photograph.Path }]);
        using var embedding = mlContext.Transforms.ClipImageEmbedding("Features", "ImagePath", saved).Fit(rows);
        float[] loaded = mlContext.Data.CreateEnumerable<Shown>(embedding.Transform(rows), reuseRowObject: false).Single().Features!;
        for (int i = 0; i < trained.Length; i++)
            Assert.Equal(trained[i], loaded[i], 5e-3); // weights are saved in float16
    }

    [Fact]
    public void Muons_steps_are_nearly_orthogonal_and_as_large_as_said()
    {
        using var scope = NewDisposeScope();
        using Generator generator = Dpl.Runtime.Seeds.Generator(5, "matrix");
        foreach (long[] shape in new long[][] { [24, 8], [8, 24], [24, 24] })
        {
            using var value = new TorchSharp.Modules.Parameter(zeros(shape), requires_grad: true);
            using var muon = new Muon([(value, 1)], weightDecay: 0, ScalarType.Float32);
            (value * randn(shape, generator: generator)).sum().backward();
            muon.Step(0.1);
            Tensor singular = linalg.svdvals(value.detach()) / (0.1 * 0.2 * Math.Sqrt(shape.Max()));
            Assert.All(singular.data<float>(), s => Assert.InRange(s, 0.5f, 1.4f));
        }
    }

    private PhotographCache Prepare(string name)
    {
        var folders = new PhotographFolders(Data, HeldOut);
        var cache = new PhotographCache(Path.Combine(_folder.FullName, name), folders.Photographs);
        cache.Prepare(() => new Brightness(), _ => { }, CancellationToken.None);
        return cache;
    }

    private PhotographTraining Begin(PhotographCache cache, string folder, PhotographSettings? settings = null) =>
        new(
            settings ?? Few,
            new PhotographFolders(Data, HeldOut),
            cache,
            new WordNet(_folder.FullName),
            Path.Combine(_folder.FullName, folder),
            ScalarType.Float32
        );

    private static void Run(PhotographTraining training, int steps)
    {
        using var stop = new CancellationTokenSource();
        training.Run(
            (at, _, _, _) =>
            {
                if (at.Step >= steps)
                    stop.Cancel();
            },
            1,
            () => { },
            TimeSpan.MaxValue,
            stop.Token
        );
    }

    private static double Correlation(double[] a, double[] b)
    {
        double meanA = a.Average(),
            meanB = b.Average(),
            both = a.Zip(b, (x, y) => (x - meanA) * (y - meanB)).Sum(),
            ownA = a.Sum(x => (x - meanA) * (x - meanA)),
            ownB = b.Sum(y => (y - meanB) * (y - meanB));
        // A crop of uniform brightness gives no correlation.
        return ownA < 1e6 || ownB < 1e-2 ? double.NaN : both / Math.Sqrt(ownA * ownB);
    }

    private sealed class Shown
    {
        public string ImagePath { get; set; } = "";

        [VectorType]
        public float[]? Features { get; set; }
    }

    /// <summary>A teacher that sees only the brightness of each cell's red channel, in features that differ by constant factors.</summary>
    private sealed class Brightness : ITeacher
    {
        public Tensor Features(IReadOnlyList<RgbImage> images) =>
            tensor(images.SelectMany(image => Map(image.Pixels, image.Width)).ToArray())
                .view(images.Count, ITeacher.Grid * ITeacher.Grid, ITeacher.Width);

        private static float[] Map(byte[] pixels, int side)
        {
            var map = new float[ITeacher.Grid * ITeacher.Grid * ITeacher.Width];
            for (int cell = 0; cell < ITeacher.Grid * ITeacher.Grid; cell++)
            {
                int top = cell / ITeacher.Grid * side / ITeacher.Grid,
                    left = cell % ITeacher.Grid * side / ITeacher.Grid;
                float bright = 0;
                for (int y = 0; y < side / ITeacher.Grid; y++)
                for (int x = 0; x < side / ITeacher.Grid; x++)
                    bright += pixels[((top + y) * side + left + x) * 3] / 255f;
                bright /= side / ITeacher.Grid * (side / ITeacher.Grid);
                for (int c = 0; c < ITeacher.Width; c++)
                    map[cell * ITeacher.Width + c] = bright * (1 + c % 7);
            }
            return map;
        }

        public void Dispose() { }
    }
}
