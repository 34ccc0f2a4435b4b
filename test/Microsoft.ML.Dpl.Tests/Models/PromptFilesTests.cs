using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.Network;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Models;

/// <summary>Exporting a model's prompts to files, and building a model from such files.</summary>
public sealed class PromptFilesTests(SmallBackbone small, ColourImages images)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>,
        IDisposable
{
    private readonly MLContext _mlContext = new(1);
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("prompts.safetensors", true)]
    [InlineData("prompts", false)]
    public void A_model_made_of_exported_prompts_predicts_the_same_bits(string name, bool keyLabel)
    {
        using DplTransformer trained = Searched(keyLabel);
        trained.ExportPrompts().Save(_folder.File(name));
        // What macOS adds to a folder on a disk without its attributes.
        if (Directory.Exists(_folder.File(name)))
            File.WriteAllText(Path.Combine(_folder.File(name), "._text.0.npy"), "Mac OS X");
        ExportedPrompts prompts = ExportedPrompts.Load(_folder.File(name));
        Assert.Equal(trained.Configuration, prompts.Configuration);
        Assert.Equal(trained.Template, prompts.Template);
        Assert.Equal(small.Backbone.Sha256, prompts.BackboneSha256);
        Assert.Equal(AlphaHistory.From(trained.SearchReport!).ToTextArray(), prompts.Alphas!.ToTextArray());
        Assert.Equal(trained.Configuration, prompts.Alphas.Configuration());

        using DplTransformer rebuilt = _mlContext.DifferentiablePromptModel(prompts, small.Backbone, "ImagePath");
        IDataView before = trained.Transform(Test),
            after = rebuilt.Transform(Test);
        Assert.Equal(before.GetColumn<float[]>("Score"), after.GetColumn<float[]>("Score"));
        Assert.Equal(keyLabel, after.Schema["PredictedLabel"].Type is KeyDataViewType);
        Assert.Equal(before.Schema["PredictedLabel"].Type, after.Schema["PredictedLabel"].Type);
        Assert.Equal(trained.ClassNames, rebuilt.ClassNames);
        // The rebuilt model can be saved, loaded and exported again like any other.
        using var zip = new MemoryStream();
        _mlContext.Model.Save(rebuilt, Test.Schema, zip);
        zip.Position = 0;
        using var loaded = (DplTransformer)new MLContext().Knowing(small.Backbone).Model.Load(zip, out _);
        Assert.Equal(before.GetColumn<float[]>("Score"), loaded.Transform(Test).GetColumn<float[]>("Score"));
        ExportedPrompts again = loaded.ExportPrompts();
        for (int layer = 0; layer < prompts.Text.Count; layer++)
            Assert.Equal(prompts.Text[layer], again.Text[layer]);
        for (int layer = 0; layer < prompts.Image.Count; layer++)
            Assert.Equal(prompts.Image[layer], again.Image[layer]);
        Assert.Equal(prompts.ClassFeatures, again.ClassFeatures);
    }

    [Theory]
    [InlineData("prompts.safetensors")]
    [InlineData("prompts")]
    public void The_threshold_and_how_images_are_read_come_along(string name)
    {
        using DplTransformer trained = Fit(_mlContext.Data.LoadFromEnumerable(images.Train), o =>
            (o.Configuration, o.Images.ApplyExifOrientation, o.Images.MaxPixels) = (
                PromptConfiguration.Uniform(small.Backbone, 1),
                true,
                12_345_678
            )
        );
        float[] highest = [.. trained.Transform(Test).GetColumn<float[]>("Score").Select(row => row.Max()).Order()];
        // Between the scores of two images, so that some are above the threshold and some below.
        trained.Threshold = (highest[7] + (double)highest[8]) / 2;
        trained.ExportPrompts().Save(_folder.File(name));

        using DplTransformer rebuilt = _mlContext.DifferentiablePromptModel(
            ExportedPrompts.Load(_folder.File(name)),
            small.Backbone,
            "ImagePath"
        );
        Assert.Equal((true, 12_345_678L, trained.Threshold), (rebuilt.ApplyExifOrientation, rebuilt.MaxImagePixels, rebuilt.Threshold));
        string[] labels = [.. rebuilt.Transform(Test).GetColumn<string>("PredictedLabel")];
        Assert.Equal(trained.Transform(Test).GetColumn<string>("PredictedLabel"), labels);
        Assert.Contains("", labels);
        Assert.Contains(labels, label => label.Length > 0);
    }

    [Fact]
    public void Changed_prompts_make_another_model_and_other_classes_too()
    {
        using DplTransformer trained = Trained();
        ExportedPrompts prompts = trained.ExportPrompts();
        float[,] first = (float[,])prompts.Text[0]!.Clone();
        for (int column = 0; column < first.GetLength(1); column++)
            first[0, column] += 5;
        using DplTransformer changed = _mlContext.DifferentiablePromptModel(
            prompts with
            {
                Text = [first, .. prompts.Text.Skip(1)],
            },
            small.Backbone,
            "ImagePath"
        );
        Assert.NotEqual(trained.Transform(Test).GetColumn<float[]>("Score"), changed.Transform(Test).GetColumn<float[]>("Score"));

        string[] names = ["orange", "grey", "pink", "white"];
        using DplTransformer expected = trained.WithClasses(names),
            other = _mlContext.DifferentiablePromptModel(prompts with { ClassNames = names }, small.Backbone, "ImagePath");
        Assert.Equal(expected.Transform(Test).GetColumn<float[]>("Score"), other.Transform(Test).GetColumn<float[]>("Score"));
    }

    /// <summary>Files as written by a few lines of Python: named arrays without metadata.</summary>
    [Fact]
    public void Bare_arrays_of_any_float_type_make_a_model_with_names_given()
    {
        using (var scope = NewDisposeScope())
        {
            Tensor rows = ones([2, small.Backbone.Config.Text.Width], ScalarType.Float64) * 0.25,
                half = ones([1, small.Backbone.Config.Image.Width], ScalarType.Float16);
            using FileStream stream = File.Create(_folder.File("python.safetensors"));
            SafetensorsWriter.Write(
                stream,
                new Dictionary<string, Tensor>
                {
                    ["prompts.text.1"] = rows,
                    ["image.0"] = half,
                    ["optimizer.state"] = ones(3, ScalarType.Int64),
                }
            );
        }
        ExportedPrompts prompts = ExportedPrompts.Load(_folder.File("python.safetensors"));
        Assert.Equal("text 0 2 | image 1", prompts.Configuration.ToString());
        Assert.Null(prompts.ClassNames);
        Assert.Equal((false, 178_956_970L, (double?)null), (prompts.ApplyExifOrientation, prompts.MaxImagePixels, prompts.Threshold));
        Assert.Contains(
            nameof(ExportedPrompts.ClassNames),
            Assert.Throws<ArgumentException>(() => _mlContext.DifferentiablePromptModel(prompts, small.Backbone)).Message
        );
        using DplTransformer model = _mlContext.DifferentiablePromptModel(
            prompts with
            {
                ClassNames = ["red", "green"],
            },
            small.Backbone,
            "ImagePath"
        );
        Assert.Equal(small.Backbone.Config.Text.Layers, model.Configuration.Text.Count);
        Assert.Equal([0, 2, .. Enumerable.Repeat(0, small.Backbone.Config.Text.Layers - 2)], model.Configuration.Text);
        Assert.All(model.Transform(Test).GetColumn<float[]>("Score"), row => Assert.Equal(1f, row.Sum(), 1e-5f));
    }

    [Fact]
    public void Prompts_of_another_CLIP_are_refused_unless_that_is_meant()
    {
        using var folder = new TemporaryFolder();
        SmallBackbone.Write(folder.FullPath, seed: 8);
        ClipBackbone other = ClipBackbone.Open(folder.FullPath);
        using DplTransformer trained = Trained();
        ExportedPrompts prompts = trained.ExportPrompts();
        ArgumentException thrown = Assert.Throws<ArgumentException>(() => _mlContext.DifferentiablePromptModel(prompts, other));
        Assert.Contains(small.Backbone.Sha256, thrown.Message);
        Assert.Contains(nameof(ExportedPrompts.BackboneSha256), thrown.Message);
        using DplTransformer carried = _mlContext.DifferentiablePromptModel(prompts with { BackboneSha256 = null }, other, "ImagePath");
        Assert.Equal(trained.Configuration, carried.Configuration);
    }

    public static TheoryData<string, Func<ExportedPrompts, ExportedPrompts>, string> Misfits =>
        new()
        {
            { "too many layers", p => p with { Text = [.. p.Text, null] }, "text layers" },
            { "too few layers", p => p with { Image = [.. p.Image.Skip(1)] }, "image layers" },
            { "another width", p => p with { Text = [new float[1, 3], .. p.Text.Skip(1)] }, "3 wide" },
            { "no rows", p => p with { Text = [new float[0, p.Text[0]!.GetLength(1)], .. p.Text.Skip(1)] }, "0 rows" },
            { "not a number", p => p with { Text = [With(p.Text[0]!, float.NaN), .. p.Text.Skip(1)] }, "NaN" },
            { "one class", p => p with { ClassNames = ["alone"] }, "at least two" },
            { "a blank class", p => p with { ClassNames = ["a", " "] }, "blank" },
            { "a class twice", p => p with { ClassNames = ["a", "a"] }, "twice" },
            { "classes that CLIP reads alike", p => p with { ClassNames = ["a", "A"] }, "'a', 'A' and cannot tell them apart" },
            { "a class of nothing to read", p => p with { ClassNames = ["a", "_"] }, "leaves nothing for CLIP to read" },
            { "a threshold above 1", p => p with { Threshold = 1.5 }, "Threshold must be above 0 and at most 1" },
            { "no pixels", p => p with { MaxImagePixels = 0 }, "MaxImagePixels must be from 1 to" },
            { "template without a place", p => p with { Template = "a photo" }, "{}" },
        };

    [Theory]
    [MemberData(nameof(Misfits))]
    public void What_does_not_fit_is_named(string what, Func<ExportedPrompts, ExportedPrompts> change, string message)
    {
        using DplTransformer trained = Trained();
        ArgumentException thrown = Assert.ThrowsAny<ArgumentException>(() =>
            _mlContext.DifferentiablePromptModel(change(trained.ExportPrompts()), small.Backbone)
        );
        Assert.True(thrown.Message.Contains(message, StringComparison.Ordinal), $"{what}: {thrown.Message}");
    }

    public static TheoryData<string, string, string> BrokenFiles =>
        new()
        {
            { "no prompts at all", "", "holds no prompts" },
            { "broken configuration", "configuration=text one", "'configuration' cannot be read" },
            { "another length", "configuration=text 0 3 | image 1", "asks for 3 rows" },
            { "a layer too few", "configuration=text 2 | image 1", "does not have" },
            { "classes are not a list", "classes={}", "'classes' cannot be read" },
            { "a class without a name", "classes=[\"a\", null]", "'classes' cannot be read" },
            { "unknown label", "label=colour", "'label' cannot be read" },
            { "unknown label type", "label=key Complex", "Complex" },
            { "neither true nor false", "apply_exif_orientation=maybe", "'apply_exif_orientation' cannot be read" },
            { "more pixels than possible", "max_image_pixels=9999999999999999999999", "'max_image_pixels' cannot be read" },
            { "no pixels", "max_image_pixels=0", "from 1 to" },
            { "threshold is no number", "threshold=high", "'threshold' cannot be read" },
            { "a threshold above 1", "threshold=1.5", "above 0 and at most 1" },
            { "candidates are not a list", "candidates=[0,", "'candidates'" },
        };

    [Theory]
    [MemberData(nameof(BrokenFiles))]
    public void Broken_files_are_named(string what, string text, string message)
    {
        using (var scope = NewDisposeScope())
        {
            var tensors =
                text.Length == 0
                    ? new Dictionary<string, Tensor> { ["text.0.1"] = ones(1, 4) }
                    : new Dictionary<string, Tensor>
                    {
                        ["text.1"] = ones(2, 4),
                        ["image.0"] = ones(1, 4),
                        ["alphas.text"] = ones(1, 2, 4),
                        ["alphas.image"] = ones(1, 1, 4),
                    };
            var texts = text.Split('=') is [var name, var value] ? new Dictionary<string, string> { [name] = value } : [];
            ArrayFiles.Write(_folder.File("broken.safetensors"), tensors, texts);
        }
        InvalidDataException thrown = Assert.Throws<InvalidDataException>(() => ExportedPrompts.Load(_folder.File("broken.safetensors")));
        Assert.True(
            thrown.Message.Contains(message, StringComparison.Ordinal)
                && thrown.Message.Contains("broken.safetensors", StringComparison.Ordinal),
            $"{what}: {thrown.Message}"
        );
    }

    [Fact]
    public void The_same_layer_twice_and_far_layers_are_refused()
    {
        using var scope = NewDisposeScope();
        string Written(params string[] names)
        {
            ArrayFiles.Write(
                _folder.File("layers.safetensors"),
                names.ToDictionary(name => name, _ => ones(1, 4)),
                new Dictionary<string, string>()
            );
            return _folder.File("layers.safetensors");
        }
        Assert.Contains(
            "same layer",
            Assert.Throws<InvalidDataException>(() => ExportedPrompts.Load(Written("text.0", "prompts.text.0"))).Message
        );
        Assert.Contains(
            "same layer",
            Assert.Throws<InvalidDataException>(() => ExportedPrompts.Load(Written("text.7", "text.07"))).Message
        );
        Assert.Contains(
            "layer 2000000000",
            Assert.Throws<InvalidDataException>(() => ExportedPrompts.Load(Written("text.2000000000"))).Message
        );
    }

    /// <summary>The reference implementation's chosen subnet, under its own tensor names.</summary>
    [Theory]
    [Trait("Category", "Golden")]
    [MemberData(nameof(GoldenCase.Names), MemberType = typeof(GoldenCase))]
    public void Golden_prompts_are_read_as_they_are(string caseName)
    {
        using var golden = new GoldenCase(caseName);
        ExportedPrompts prompts = ExportedPrompts.Load(Path.Combine(golden.Folder, "subnet.safetensors"));
        foreach (var (branch, layers) in new[] { ("text", prompts.Text), ("image", prompts.Image) })
        {
            int[] lengths = golden.Numbers("subnet", $"{branch}_lengths");
            int[] read = [.. layers.Select(rows => rows?.GetLength(0) ?? 0), .. new int[lengths.Length - layers.Count]];
            Assert.Equal(lengths, read);
            using var scope = NewDisposeScope();
            for (int layer = 0; layer < layers.Count; layer++)
                if (layers[layer] is { } rows)
                    TensorAssert.BitEqual(golden["subnet", $"prompts.{branch}.{layer}"], tensor(rows));
        }
    }

    private IDataView Test => _mlContext.Data.LoadFromEnumerable(images.Test);

    private static float[,] With(float[,] rows, float value)
    {
        float[,] changed = (float[,])rows.Clone();
        changed[0, 0] = value;
        return changed;
    }

    private DplTransformer Trained() =>
        Fit(_mlContext.Data.LoadFromEnumerable(images.Train), o => o.Configuration = PromptConfiguration.Uniform(small.Backbone, 1));

    private DplTransformer Searched(bool keyLabel)
    {
        IDataView rows = _mlContext.Data.LoadFromEnumerable(images.Train);
        return Fit(keyLabel ? _mlContext.Transforms.Conversion.MapValueToKey("Label").Fit(rows).Transform(rows) : rows, o =>
            (o.Search.CandidateLengths, o.Search.Epochs, o.Search.Compare, o.Validation.RowsPerClass) = ([0, 1, 3], 2, false, 2)
        );
    }

    private DplTransformer Fit(IDataView rows, Action<DplTrainer.Options> change)
    {
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Training =
            {
                Recipe = TrainingRecipe.Paper,
                Epochs = 1,
                BatchSize = 6,
            },
        };
        change(options);
        return _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options).Fit(rows);
    }
}
