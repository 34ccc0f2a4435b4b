using Drawing.Tasks;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Onnx;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.OnnxRuntime;
using Onnx;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Onnx;

/// <summary>Graphs of reduced precision, in ONNX Runtime.</summary>
public sealed class OnnxPrecisionTests : IDisposable
{
    private readonly MLContext _mlContext = new(1);
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("plain", OnnxPrecision.Float16, 0.005)]
    [InlineData("gelu", OnnxPrecision.Float16, 0.005)]
    [InlineData("plain", OnnxPrecision.Int8, 0.08)]
    [InlineData("gelu", OnnxPrecision.Int8, 0.08)]
    [InlineData("odd", OnnxPrecision.Int8, 0.08)]
    [InlineData("wide", OnnxPrecision.Int8, 0.08)]
    public void Logits_are_near_those_of_the_tower(string shape, OnnxPrecision precision, double tolerance)
    {
        ClipConfig config = RandomTower.ShapeOf(shape);
        using var tower = new RandomTower(config, [.. Enumerable.Range(0, config.Image.Layers).Select(layer => 2 * layer)]);
        RequireNear(tower, precision, tolerance);
    }

    [Theory]
    [InlineData(OnnxPrecision.Float16, 0.005)]
    [InlineData(OnnxPrecision.Int8, 0.08)]
    public void Those_of_a_mixture_are_too(OnnxPrecision precision, double tolerance)
    {
        using RandomTower tower = RandomTower.WithMixture(RandomTower.ShapeOf("plain"), [0, 1, 3]);
        RequireNear(tower, precision, tolerance);
    }

    private static void RequireNear(RandomTower tower, OnnxPrecision precision, double tolerance)
    {
        using var scope = NewDisposeScope();
        Tensor images = tower.Images(3);
        float[] expected = tower.Classifier.Logits(images).data<float>().ToArray();
        byte[] written = tower.Written(precision);
        Assert.Equal(written, tower.Written(precision));
        foreach (GraphOptimizationLevel level in new[] { GraphOptimizationLevel.ORT_ENABLE_ALL, GraphOptimizationLevel.ORT_DISABLE_ALL })
        {
            using var model = new OnnxModel(written, level);
            float[] logits = model.Score(images.data<float>().ToArray(), images.shape).Logits;
            double difference = expected.Zip(logits, (a, b) => Math.Abs(a - b)).Max();
            Assert.InRange(difference, 1e-9, tolerance * expected.Max(Math.Abs));
        }
    }

    /// <summary>The other images of a batch do not matter, because each row has a scale of its own.</summary>
    [Fact]
    public void An_image_scores_the_same_alone_and_in_a_batch()
    {
        using var tower = new RandomTower(RandomTower.ShapeOf("plain"), [2, 0, 1]);
        using var model = new OnnxModel(tower.Written(OnnxPrecision.Int8));
        using var scope = NewDisposeScope();
        Tensor images = tower.Images(3);
        // An image that would determine the scale if a batch had only one.
        images[1].mul_(50);
        float[] together = model.Score(images.data<float>().ToArray(), images.shape).Logits;
        for (int i = 0; i < 3; i++)
        {
            Tensor one = images.narrow(0, i, 1).contiguous();
            float[] alone = model.Score(one.data<float>().ToArray(), one.shape).Logits;
            Assert.All(alone.Zip(together.Skip(i * RandomTower.Classes)), pair => Assert.Equal(pair.First, pair.Second, 1e-4f));
        }
    }

    [Theory]
    [InlineData(OnnxPrecision.Float16, 0.52)]
    [InlineData(OnnxPrecision.Int8, 0.40)]
    public void The_file_is_smaller_by_what_is_promised_and_says_what_it_is(OnnxPrecision precision, double share)
    {
        using DplTransformer model = ZeroShot("sketches");
        int whole = OnnxModel.Written(model).Length;
        byte[] small = OnnxModel.Written(model, precision: precision);
        Assert.InRange(small.Length, 0.2 * whole, share * whole);
        Assert.InRange(
            model.Use(classifier => OnnxClassifier.SizeOf(ClassifierArrays.From(classifier), precision)),
            small.Length,
            small.Length + (17 << 20)
        );
        using var read = new OnnxModel(small);
        Assert.StartsWith(precision.ToString().ToLowerInvariant(), read.Metadata["precision"]);
        // Only the int8 products use an operator of ONNX Runtime's own domain.
        Assert.Equal(
            precision == OnnxPrecision.Int8 ? ["", "com.microsoft"] : [""],
            ModelProto.Parser.ParseFrom(small).OpsetImport.Select(operators => operators.Domain)
        );
    }

    [Theory]
    [InlineData(OnnxInput.Pixels)]
    [InlineData(OnnxInput.Image)]
    public void Both_inputs_can_have_it(OnnxInput input)
    {
        using DplTransformer model = ZeroShot("sketches");
        using var read = new OnnxModel(OnnxModel.Written(model, input, OnnxPrecision.Int8));
        Assert.Equal([-1, model.ClassNames.Count], read.Outputs["probabilities"].Dimensions.Select(d => d == 1 ? -1 : d));
    }

    [Theory]
    [InlineData(OnnxPrecision.Float16)]
    [InlineData(OnnxPrecision.Int8)]
    public void A_zip_keeps_it_and_its_accuracy_is_that_of_float32_within_a_point(OnnxPrecision precision)
    {
        using DplTransformer model = ZeroShot("sketches");
        IDataView rows = Rows("test.tsv");
        (model.Contents, model.OnnxPrecision) = (ModelContents.WithOnnx, precision);
        string zip = _folder.File("model.zip");
        _mlContext.Model.Save(model, rows.Schema, zip);
        using var heavy = (DplTransformer)_mlContext.Model.Load(zip, out _);
        Assert.Equal(precision, heavy.OnnxPrecision);
        using var light = (DplOnnxTransformer)_mlContext.Model.LoadWithOnnxRuntime(zip, out _);
        Assert.InRange(Accuracy(light), Accuracy(model) - 0.01, 1);

        double Accuracy(ITransformer transformer) =>
            transformer
                .Transform(rows)
                .GetColumn<ReadOnlyMemory<char>>("PredictedLabel")
                .Zip(rows.GetColumn<ReadOnlyMemory<char>>("Label"))
                .Average(pair => pair.First.Span.SequenceEqual(pair.Second.Span) ? 1.0 : 0);
    }

    [Fact]
    public void There_are_no_others()
    {
        using DplTransformer model = ZeroShot("sketches");
        Assert.Throws<ArgumentOutOfRangeException>(() => model.OnnxPrecision = (OnnxPrecision)7);
        Assert.Throws<ArgumentOutOfRangeException>(() => model.SaveAsOnnx(Stream.Null, precision: (OnnxPrecision)7));
    }

    /// <summary>The embedded CLIP without prompts, on a task that it was trained for.</summary>
    private DplTransformer ZeroShot(string name)
    {
        DrawnTask task = DrawnTasks.Named(name);
        DrawnTaskFiles.Write(task, _folder.FullPath, trainPerClass: 1, validationPerClass: 1, testPerClass: 25, seed: 1);
        return _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(
                new DplTrainer.Options
                {
                    Backbone = ClipBackbone.TinyDrawn,
                    ImageColumnName = "ImagePath",
                    Template = task.Template,
                    Configuration = PromptConfiguration.ZeroShot(ClipBackbone.TinyDrawn),
                }
            )
            .Fit(Rows("train.tsv"));
    }

    private IDataView Rows(string table) =>
        _mlContext.Data.LoadFromEnumerable(
            File.ReadLines(_folder.File(table))
                .Skip(1)
                .Select(line => line.Split('\t'))
                .Select(row => new LabelledImage { ImagePath = _folder.File(row[0]), Label = row[1] })
                .ToArray()
        );
}
