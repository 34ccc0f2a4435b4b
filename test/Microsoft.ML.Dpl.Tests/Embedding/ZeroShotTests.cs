using Microsoft.ML.Data;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.MLNet;

namespace Microsoft.ML.Dpl.Tests.Embedding;

/// <summary>Plain CLIP as a zero-shot classifier: the same transformer as a trained one, but without prompts.</summary>
public sealed class ZeroShotTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    private static readonly string[] Classes = ["red", "green", "blue"];

    private readonly MLContext _mlContext = new MLContext(1).Knowing(small.Backbone);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void It_has_the_bits_and_columns_of_a_fit_without_prompts(bool several)
    {
        string[]? templates = several ? ["a photo of a {}.", "the colour {}."] : null;
        IDataView keyed = _mlContext.Transforms.Conversion.MapValueToKey("Label").Fit(Data()).Transform(Data());
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Configuration = PromptConfiguration.ZeroShot(small.Backbone),
            Design = { Templates = templates },
        };
        using DplTransformer fitted = _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options).Fit(keyed);
        ClipZeroShotEstimator estimator = _mlContext.MulticlassClassification.ClipZeroShot(
            small.Backbone,
            fitted.ClassNames,
            templates,
            "ImagePath"
        );
        using DplTransformer zeroShot = estimator.Fit(keyed);
        IDataView scored = zeroShot.Transform(keyed);
        SchemaAssert.Equal(fitted.Transform(keyed).Schema, scored.Schema);
        SchemaAssert.Equal(estimator.GetOutputSchema(MLNetInternals.ShapeOf(keyed.Schema)), MLNetInternals.ShapeOf(scored.Schema));
        Assert.Equal(Scores(fitted.Transform(keyed)), Scores(scored));
        Assert.Equal(fitted.Template, zeroShot.Template);
        Assert.True(zeroShot.Configuration.IsZeroShot);
        Assert.Equal(3, _mlContext.MulticlassClassification.Evaluate(scored).PerClassLogLoss.Count);
    }

    [Fact]
    public void Its_scores_are_what_the_embeddings_say()
    {
        using DplTransformer zeroShot = Fit();
        using ClipEmbeddingTransformer image = _mlContext.Transforms.ClipImageEmbedding("I", "ImagePath", small.Backbone).Fit(Data()),
            text = _mlContext.Transforms.ClipTextEmbedding("T", "Label", small.Backbone).Fit(Data());
        float[][] ofImages = [.. image.Transform(Data()).GetColumn<float[]>("I")],
            ofClasses =

            [
                .. text.Transform(
                        _mlContext.Data.LoadFromEnumerable(Classes.Select(name => new LabelledImage { Label = $"a photo of a {name}." }))
                    )
                    .GetColumn<float[]>("T"),
            ];
        double scale = zeroShot.ExportPrompts().LogitScale!.Value;
        foreach ((float[] vector, float[] scores) in ofImages.Zip(Scores(zeroShot.Transform(Data()))))
        {
            double[] odds = [.. ofClasses.Select(c => Math.Exp(scale * c.Zip(vector, (a, b) => (double)a * b).Sum()))];
            for (int c = 0; c < 3; c++)
                Assert.Equal(odds[c] / odds.Sum(), scores[c], 1e-4);
        }
    }

    [Fact]
    public void It_is_saved_and_loaded_in_a_pipeline_and_names_its_classes()
    {
        var pipeline = _mlContext
            .MulticlassClassification.ClipZeroShot(small.Backbone, Classes, ["the colour {}."], "ImagePath")
            .Append(_mlContext.Transforms.Conversion.MapKeyToValue("PredictedLabel"));
        TransformerChain<Transforms.KeyToValueMappingTransformer> model = pipeline.Fit(Data());
        using var zip = new MemoryStream();
        _mlContext.Model.Save(model, Data().Schema, zip);
        zip.Position = 0;
        ITransformer loaded = new MLContext().Model.Load(zip, out _);
        Assert.Equal(Scores(model.Transform(Data())), Scores(loaded.Transform(Data())));
        Assert.All(loaded.Transform(Data()).GetColumn<string>("PredictedLabel"), name => Assert.Contains(name, Classes));
        DplTransformer zeroShot = ((IEnumerable<ITransformer>)loaded).OfType<DplTransformer>().Single();
        Assert.Equal(("the colour {}.", null), (zeroShot.Template, zeroShot.Templates));
        using DplTransformer others = zeroShot.WithClasses(["pink", "brown"]);
        Assert.Equal(["pink", "brown"], others.ClassNames);
        VBuffer<ReadOnlyMemory<char>> slots = default;
        loaded.Transform(Data()).Schema["Score"].GetSlotNames(ref slots);
        Assert.Equal(Classes, slots.DenseValues().Select(name => name.ToString()));
        ((IDisposable)loaded).Dispose();
        model.Dispose();
    }

    [Fact]
    public void Images_are_read_as_the_options_say_also_from_the_zip()
    {
        IDataView relative = _mlContext.Data.LoadFromEnumerable(
            images.Test.Select(p => new LabelledImage { ImagePath = Path.GetFileName(p.ImagePath), Label = p.Label })
        );
        var options = new ClipZeroShotOptions
        {
            ImageColumnName = "ImagePath",
            ImageFolder = images.Folder,
            MaxPixels = 1 << 20,
            ApplyExifOrientation = true,
            ModelContents = ModelContents.WithImageTower,
        };
        using DplTransformer zeroShot = _mlContext.MulticlassClassification.ClipZeroShot(small.Backbone, Classes, options).Fit(relative);
        using DplTransformer plain = Fit();
        Assert.Equal(Scores(plain.Transform(Data())), Scores(zeroShot.Transform(relative)));
        using var zip = new MemoryStream();
        _mlContext.Model.Save(zeroShot, relative.Schema, zip);
        zip.Position = 0;
        using var loaded = (DplTransformer)new MLContext().Model.Load(zip, out _);
        Assert.Equal((true, 1L << 20, ModelContents.WithImageTower), (loaded.ApplyExifOrientation, loaded.MaxImagePixels, loaded.Contents));
        Assert.Equal(Scores(zeroShot.Transform(relative)), Scores(loaded.Transform(relative)));
    }

    [Fact]
    public void Bad_classes_templates_and_columns_are_refused_before_anything_is_read()
    {
        MulticlassClassificationCatalog catalog = _mlContext.MulticlassClassification;
        Refused(() => catalog.ClipZeroShot(small.Backbone, ["one"]), "two");
        Refused(() => catalog.ClipZeroShot(small.Backbone, ["one", " "]), "class 1");
        Refused(() => catalog.ClipZeroShot(small.Backbone, ["one", "one"]), "'one' occurs twice");
        Refused(() => catalog.ClipZeroShot(small.Backbone, Classes, ["no place"]), "Templates[0] must hold {}");
        Refused(() => catalog.ClipZeroShot(small.Backbone, Classes, []), "Templates is empty");
        Refused(() => catalog.ClipZeroShot(small.Backbone, Classes, new ClipZeroShotOptions { BatchSize = 0 }), "BatchSize");
        Refused(
            () => catalog.ClipZeroShot(small.Backbone, Classes, new ClipZeroShotOptions { ScoreColumnName = "PredictedLabel" }),
            "two columns"
        );
        // Which names CLIP tokenizes alike is only known after its vocabulary has been read, so this is refused by Fit.
        Refused(() => catalog.ClipZeroShot(small.Backbone, ["a_b", "a b"], null, "ImagePath").Fit(Data()), "cannot tell them apart");
        Assert.Contains(
            "'Image'",
            Assert.Throws<ArgumentOutOfRangeException>(() => catalog.ClipZeroShot(small.Backbone, Classes).Fit(Data())).Message
        );

        static void Refused(Action make, string named) => Assert.Contains(named, Assert.ThrowsAny<ArgumentException>(make).Message);
    }

    private IDataView Data() => _mlContext.Data.LoadFromEnumerable(images.Test);

    private static float[][] Scores(IDataView scored) => [.. scored.GetColumn<float[]>("Score")];

    private DplTransformer Fit() =>
        _mlContext.MulticlassClassification.ClipZeroShot(small.Backbone, Classes, null, "ImagePath").Fit(Data());
}
