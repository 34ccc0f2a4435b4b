using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Tests.Clip;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.MLNet;
using Microsoft.ML.Dpl.Tests.Network;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Embedding;

/// <summary>CLIP's image embeddings as a column: their values, and what ML.NET expects of a transformer.</summary>
public sealed class ImageEmbeddingTests(SmallBackbone small, ColourImages images)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new MLContext(1).Knowing(small.Backbone);

    private ClipConfig Config => small.Backbone.Config;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void It_is_what_the_method_written_down_gives(bool normalize)
    {
        using ClipEmbeddingTransformer transformer = Fit(new ClipImageEmbeddingOptions { Normalize = normalize });
        float[][] found = Vectors(transformer);
        using var random = new RandomClip(Config, seed: 7);
        using var naive = new NaiveClip(random, Config);
        using var scope = NewDisposeScope();
        // The pixels come from a zero-shot classifier of the same CLIP, whose preprocessing is tested against golden values elsewhere.
        using DplTransformer zeroShot = _mlContext
            .MulticlassClassification.ClipZeroShot(small.Backbone, ["red", "blue"], null, "ImagePath")
            .Fit(Data());
        Tensor pixels = stack([
            .. images.Test.Select(p => tensor(zeroShot.Pixels(p.ImagePath)).view(3, Config.ImageSize, Config.ImageSize)),
        ]);
        Tensor expected = naive.ImageFeatures(pixels, Plain(Config.Image.Layers));
        if (normalize)
            expected /= expected.norm(-1, keepdim: true, p: 2.0f);
        Assert.Equal(15, found.Length);
        Close.Relative(expected, tensor(found.SelectMany(v => v).ToArray()).view(15, Config.EmbeddingWidth), 1e-4, "image embeddings");
        if (normalize)
            Assert.All(found, v => Assert.Equal(1, v.Sum(x => (double)x * x), 1e-5));
    }

    [Theory]
    [InlineData("ImagePath")]
    [InlineData("ImageBytes")]
    [InlineData("Image")]
    public void Every_form_of_image_gives_the_same_bits_and_the_promised_schema(string column)
    {
        float[][] expected;
        using (ClipEmbeddingTransformer byPath = Fit())
            expected = Vectors(byPath);
        IDataView data =
            column == "Image" ? _mlContext.Transforms.LoadImages("Image", null, "ImagePath").Fit(Data()).Transform(Data()) : Data();
        ClipEmbeddingEstimator estimator = _mlContext.Transforms.ClipImageEmbedding("Features", column, small.Backbone);
        using ClipEmbeddingTransformer transformer = estimator.Fit(data);
        IDataView embedded = transformer.Transform(data);
        SchemaAssert.Equal(estimator.GetOutputSchema(MLNetInternals.ShapeOf(data.Schema)), MLNetInternals.ShapeOf(embedded.Schema));
        SchemaAssert.Equal(embedded.Schema, transformer.GetOutputSchema(data.Schema));
        SchemaAssert.Equal(embedded.Schema, ((ITransformer)transformer).GetRowToRowMapper(data.Schema).OutputSchema);
        Assert.Equal(new VectorDataViewType(NumberDataViewType.Single, Config.EmbeddingWidth), embedded.Schema["Features"].Type);
        Assert.Equal(expected, [.. embedded.GetColumn<float[]>("Features")]);
    }

    [Fact]
    public void A_null_input_is_replaced_by_its_own_vectors()
    {
        ClipEmbeddingEstimator estimator = _mlContext.Transforms.ClipImageEmbedding("ImagePath", null, small.Backbone);
        SchemaShape promised = estimator.GetOutputSchema(MLNetInternals.ShapeOf(Data().Schema));
        using ClipEmbeddingTransformer transformer = estimator.Fit(Data());
        IDataView embedded = transformer.Transform(Data());
        SchemaAssert.Equal(promised, MLNetInternals.ShapeOf(embedded.Schema));
        Assert.Equal(15, embedded.GetColumn<float[]>("ImagePath").Count());
    }

    [Fact]
    public void Batches_and_cuts_keep_the_order_and_the_values()
    {
        using ClipEmbeddingTransformer whole = Fit(),
            single = Fit(new ClipImageEmbeddingOptions { BatchSize = 1 }),
            some = Fit(new ClipImageEmbeddingOptions { BatchSize = 4 });
        float[][] expected = Vectors(whole);
        Assert.Equal(15, expected.Select(v => string.Join(' ', v)).Distinct().Count());
        AssertClose(expected, Vectors(single));
        AssertClose(expected, Vectors(some));
        AssertClose(expected[..4], Vectors(whole, _mlContext.Data.TakeRows(Data(), 4)));
        AssertClose(expected[10..], [.. _mlContext.Data.SkipRows(whole.Transform(Data()), 10).GetColumn<float[]>("Features")]);
        // With a batch size of 1, a prediction engine and a data view give the same bits.
        using PredictionEngine<LabelledImage, Embedded> engine = _mlContext.Model.CreatePredictionEngine<LabelledImage, Embedded>(single);
        Assert.Equal(Vectors(single), [.. images.Test.Select(row => engine.Predict(row).Features)]);
    }

    [Fact]
    public void Eight_threads_get_the_bits_of_one()
    {
        using ClipEmbeddingTransformer transformer = Fit();
        float[][] expected = Vectors(transformer);
        Parallel.For(0, 24, new ParallelOptions { MaxDegreeOfParallelism = 8 }, _ => Assert.Equal(expected, Vectors(transformer)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_zip_gives_the_same_bits_alone_and_in_a_pipeline(bool carries)
    {
        using var folder = new TemporaryFolder();
        using ClipEmbeddingTransformer transformer = Fit(new ClipImageEmbeddingOptions { CarryClip = carries, BatchSize = 4 });
        float[][] expected = Vectors(transformer);
        ITransformer chain = _mlContext.Transforms.CopyColumns("Copy", "Label").Fit(Data()).Append(transformer);
        foreach ((ITransformer model, string name) in new[] { (transformer, "alone.zip"), (chain, "chain.zip") })
        {
            _mlContext.Model.SaveWhole(model, Data().Schema, folder.File(name));
            ModelZip.Check(folder.File(name));
            ITransformer loaded = new MLContext().Model.Load(folder.File(name), out DataViewSchema schema);
            Assert.NotNull(schema);
            IDataView embedded = loaded.Transform(Data());
            SchemaAssert.Equal(model.GetOutputSchema(Data().Schema), embedded.Schema);
            Assert.Equal(expected, [.. embedded.GetColumn<float[]>("Features")]);
            // A loaded model can be saved again unchanged.
            _mlContext.Model.SaveWhole(loaded, schema, folder.File("again.zip"));
            ((IDisposable)loaded).Dispose();
            ITransformer again = new MLContext().Model.Load(folder.File("again.zip"), out _);
            Assert.Equal(expected, [.. again.Transform(Data()).GetColumn<float[]>("Features")]);
            ((IDisposable)again).Dispose();
        }
    }

    [Fact]
    public void A_zip_that_carries_CLIP_needs_no_folder()
    {
        using var other = new TemporaryFolder();
        SmallBackbone.Write(other.FullPath, seed: 8);
        HuggingFaceFolder.WritePreprocessor(other.FullPath, Config.ImageSize);
        using var folder = new TemporaryFolder();
        ClipBackbone backbone = ClipBackbone.FromFolder(other.FullPath);
        float[][] expected;
        using (
            ClipEmbeddingTransformer transformer = _mlContext.Transforms.ClipImageEmbedding("Features", "ImagePath", backbone).Fit(Data())
        )
        {
            expected = Vectors(transformer);
            _mlContext.Model.Save(transformer, Data().Schema, folder.File("named.zip"));
            transformer.CarriesClip = true;
            _mlContext.Model.Save(transformer, Data().Schema, folder.File("carried.zip"));
        }
        Directory.Delete(other.FullPath, recursive: true);
        var loaded = (ClipEmbeddingTransformer)new MLContext().Model.Load(folder.File("carried.zip"), out _);
        Assert.True(loaded.CarriesClip);
        Assert.Equal(expected, Vectors(loaded));
        loaded.Dispose();
        Exception missing = Assert.ThrowsAny<Exception>(() => new MLContext().Model.Load(folder.File("named.zip"), out _));
        Assert.IsType<FileNotFoundException>(missing.GetBaseException());
        Assert.Contains("DPL_CLIP", missing.GetBaseException().Message);
        Directory.CreateDirectory(other.FullPath);
    }

    [Fact]
    public void An_unreadable_image_is_named_when_its_row_is_read()
    {
        LabelledImage[] rows = [.. images.Test.Take(3), new() { ImagePath = "nowhere.png" }, .. images.Test.Skip(3)];
        using ClipEmbeddingTransformer transformer = Fit();
        IDataView embedded = transformer.Transform(_mlContext.Data.LoadFromEnumerable(rows));
        Assert.Equal(3, _mlContext.Data.TakeRows(embedded, 3).GetColumn<float[]>("Features").Count());
        var error = Assert.Throws<UnreadableImageException>(() => embedded.GetColumn<float[]>("Features").Count());
        Assert.Equal((3, "nowhere.png"), (error.Row, error.Path));
        Assert.Equal(12, _mlContext.Data.SkipRows(embedded, 4).GetColumn<float[]>("Features").Count());
    }

    [Fact]
    public void Columns_of_other_types_and_bad_options_are_refused_by_name()
    {
        foreach ((string column, string named) in new[] { ("Other", "Single"), ("Missing", "'Missing'") })
        {
            ClipEmbeddingEstimator estimator = _mlContext.Transforms.ClipImageEmbedding("Features", column, small.Backbone);
            Assert.Contains(named, Assert.Throws<ArgumentOutOfRangeException>(() => estimator.Fit(Data())).Message);
            Assert.Contains(
                named,
                Assert.Throws<ArgumentOutOfRangeException>(() => estimator.GetOutputSchema(MLNetInternals.ShapeOf(Data().Schema))).Message
            );
        }
        using ClipEmbeddingTransformer transformer = Fit();
        IDataView without = _mlContext.Transforms.DropColumns("ImagePath").Fit(Data()).Transform(Data());
        Assert.Throws<ArgumentOutOfRangeException>(() => transformer.Transform(without));
        Assert.Throws<ArgumentOutOfRangeException>(() => transformer.GetOutputSchema(without.Schema));
        IDataView embedded = transformer.Transform(Data());
        using (DataViewRowCursor cursor = embedded.GetRowCursor(embedded.Schema))
            Assert.Contains(
                "'Features'",
                Assert.Throws<InvalidOperationException>(() => cursor.GetGetter<float>(embedded.Schema["Features"])).Message
            );
        Refused(new ClipImageEmbeddingOptions { BatchSize = 0 }, "BatchSize");
        Refused(new ClipImageEmbeddingOptions { MaxPixels = 0 }, "MaxPixels");
        Assert.Throws<ArgumentException>(() => _mlContext.Transforms.ClipImageEmbedding("Features", " ", small.Backbone));
        Assert.Contains(
            "device",
            Assert.ThrowsAny<ArgumentException>(() => Fit(new ClipImageEmbeddingOptions { Device = "tpu" })).Message,
            StringComparison.OrdinalIgnoreCase
        );

        void Refused(ClipImageEmbeddingOptions options, string named) =>
            Assert.Contains(
                named,
                Assert
                    .ThrowsAny<ArgumentException>(() =>
                        _mlContext.Transforms.ClipImageEmbedding("Features", "ImagePath", small.Backbone, options)
                    )
                    .Message
            );
    }

    [Fact]
    public void Options_of_images_are_kept_in_the_zip()
    {
        IDataView relative = _mlContext.Data.LoadFromEnumerable(
            images.Test.Select(p => new LabelledImage { ImagePath = Path.GetFileName(p.ImagePath) })
        );
        using ClipEmbeddingTransformer transformer = Fit(new ClipImageEmbeddingOptions { ImageFolder = images.Folder, Normalize = false });
        using var zip = new MemoryStream();
        _mlContext.Model.Save(transformer, relative.Schema, zip);
        zip.Position = 0;
        using var loaded = (ClipEmbeddingTransformer)new MLContext().Model.Load(zip, out _);
        Assert.False(loaded.IsNormalized);
        Assert.Equal(("ImagePath", "Features", false), (loaded.InputColumnName, loaded.OutputColumnName, loaded.CarriesClip));
        Assert.Equal(Vectors(transformer), Vectors(loaded, relative));
    }

    [Fact]
    public void Disposal_and_cancellation_are_told()
    {
        ClipEmbeddingTransformer transformer = Fit();
        Assert.Throws<OperationCanceledException>(() =>
            transformer.Transform(Data(), new CancellationToken(canceled: true)).GetColumn<float[]>("Features").Count()
        );
        IDataView embedded = transformer.Transform(Data());
        // Disposing a prediction engine releases only the engine's own share of the model.
        _mlContext.Model.CreatePredictionEngine<LabelledImage, Embedded>(transformer).Dispose();
        Assert.Equal(15, embedded.GetColumn<float[]>("Features").Count());
        transformer.Dispose();
        transformer.Dispose();
        var error = Assert.Throws<ObjectDisposedException>(() => embedded.GetColumn<float[]>("Features").Count());
        Assert.Contains(nameof(ClipEmbeddingTransformer), error.ObjectName);
    }

    private static NaiveLayer[] Plain(int layers) => [.. Enumerable.Range(0, layers).Select(_ => new NaiveLayer(zeros(1), [null]))];

    private static void AssertClose(float[][] expected, float[][] found)
    {
        Assert.Equal(expected.Length, found.Length);
        // Batches of different sizes may round differently in the last digit.
        foreach ((float[] one, float[] other) in expected.Zip(found))
            for (int i = 0; i < one.Length; i++)
                Assert.Equal(one[i], other[i], 1e-5f);
    }

    private IDataView Data() => _mlContext.Data.LoadFromEnumerable(images.Test);

    private float[][] Vectors(ClipEmbeddingTransformer transformer, IDataView? data = null) =>
        [.. transformer.Transform(data ?? Data()).GetColumn<float[]>("Features")];

    private ClipEmbeddingTransformer Fit(ClipImageEmbeddingOptions? options = null) =>
        _mlContext.Transforms.ClipImageEmbedding("Features", "ImagePath", small.Backbone, options).Fit(Data());

    private sealed class Embedded
    {
        public float[] Features { get; set; } = [];
    }
}
