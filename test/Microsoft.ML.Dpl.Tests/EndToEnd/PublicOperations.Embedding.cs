using Microsoft.ML.Data;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Operations with plain CLIP: embeddings and zero-shot classification.</summary>
internal static partial class PublicOperations
{
    private static IEnumerable<KeyValuePair<string, Operation>> EmbeddingMembers() =>
        new Dictionary<string, Operation>
        {
            ["ClipCatalog.ClipImageEmbedding(TransformsCatalog, String, String, ClipBackbone, ClipImageEmbeddingOptions)"] = new(w =>
                Assert.NotNull(ImageEmbedding(w))
            ),
            ["ClipCatalog.ClipTextEmbedding(TransformsCatalog, String, String, ClipBackbone, ClipTextEmbeddingOptions)"] = new(w =>
            {
                using ClipEmbeddingTransformer text = w
                    .Context.Transforms.ClipTextEmbedding("Features", "Label", w.Small.Backbone)
                    .Fit(w.Train);
                Assert.Equal(18, text.Transform(w.Train).GetColumn<float[]>("Features").Count());
            }),
            ["ClipCatalog.ClipZeroShot(MulticlassClassificationCatalog, ClipBackbone, IEnumerable`1, IEnumerable`1, String)"] = new(w =>
                Assert.Throws<ArgumentException>(() => w.Context.MulticlassClassification.ClipZeroShot(w.Small.Backbone, ["one"]))
            ),
            ["ClipCatalog.ClipZeroShot(MulticlassClassificationCatalog, ClipBackbone, IEnumerable`1, ClipZeroShotOptions)"] = new(w =>
                Assert.NotNull(ZeroShot(w))
            ),
            ["ClipEmbeddingEstimator.Fit(IDataView)"] = new(w => ImageEmbedding(w).Fit(w.Train).Dispose()),
            ["ClipEmbeddingEstimator.GetOutputSchema(SchemaShape)"] = new(w =>
                ImageEmbedding(w).GetOutputSchema(MLNetInternals.ShapeOf(w.Train.Schema))
            ),
            ["ClipEmbeddingTransformer.get_InputColumnName()"] = Embedded(t => Assert.Equal("ImagePath", t.InputColumnName)),
            ["ClipEmbeddingTransformer.get_OutputColumnName()"] = Embedded(t => Assert.Equal("Features", t.OutputColumnName)),
            ["ClipEmbeddingTransformer.get_IsNormalized()"] = Embedded(t => Assert.True(t.IsNormalized)),
            ["ClipEmbeddingTransformer.get_CarriesClip()"] = Embedded(t => Assert.False(t.CarriesClip)),
            ["ClipEmbeddingTransformer.set_CarriesClip(Boolean)"] = Embedded(
                (t, w) =>
                {
                    t.CarriesClip = true;
                    using var zip = new MemoryStream();
                    w.Context.Model.Save(t, w.Train.Schema, zip);
                    zip.Position = 0;
                    ((IDisposable)w.Context.Model.Load(zip, out _)).Dispose();
                }
            ),
            ["ClipEmbeddingTransformer.GetOutputSchema(DataViewSchema)"] = Embedded((t, w) => t.GetOutputSchema(w.Train.Schema)),
            ["ClipEmbeddingTransformer.Transform(IDataView)"] = Embedded(
                (t, w) =>
                {
                    Assert.Equal(18, t.Transform(w.Train).GetColumn<float[]>("Features").Count());
                    Assert.Throws<UnreadableImageException>(() => t.Transform(w.WithBadImage).GetColumn<float[]>("Features").Count());
                }
            ),
            ["ClipEmbeddingTransformer.Transform(IDataView, CancellationToken)"] = Embedded(
                (t, w) =>
                    Assert.ThrowsAny<OperationCanceledException>(() =>
                        t.Transform(w.Train, new CancellationToken(canceled: true)).GetColumn<float[]>("Features").Count()
                    )
            ),
            ["DplOnnx.SaveAsOnnx(ClipEmbeddingTransformer, String, OnnxInput, Boolean, OnnxPrecision, CancellationToken)"] = Embedded(t =>
                InFolder(folder => t.SaveAsOnnx(Path.Combine(folder, "embedding.onnx")))
            ),
            ["DplOnnx.SaveAsOnnx(ClipEmbeddingTransformer, Stream, OnnxInput, OnnxPrecision, CancellationToken)"] = Embedded(t =>
                t.SaveAsOnnx(Stream.Null, OnnxInput.Image, OnnxPrecision.Int8)
            ),
            ["ClipEmbeddingTransformer.Dispose()"] = Embedded(t => t.Dispose()),
            ["ClipImageEmbeddingOptions..ctor()"] = new(_ => Assert.True(new ClipImageEmbeddingOptions().Normalize)),
            ["ClipTextEmbeddingOptions..ctor()"] = new(_ => Assert.False(new ClipTextEmbeddingOptions().RefuseLongTexts)),
            ["ClipZeroShotEstimator.Fit(IDataView)"] = new(w =>
            {
                using DplTransformer zeroShot = ZeroShot(w).Fit(w.Train);
                Assert.Equal(18, zeroShot.Transform(w.Train).GetColumn<float[]>("Score").Count());
            }),
            ["ClipZeroShotEstimator.GetOutputSchema(SchemaShape)"] = new(w =>
                ZeroShot(w).GetOutputSchema(MLNetInternals.ShapeOf(w.Train.Schema))
            ),
            ["ClipZeroShotOptions..ctor()"] = new(_ => Assert.Null(new ClipZeroShotOptions().Templates)),
        };

    private static Operation Embedded(Action<ClipEmbeddingTransformer> use) => Embedded((transformer, _) => use(transformer));

    private static Operation Embedded(Action<ClipEmbeddingTransformer, World> use) =>
        new(w =>
        {
            using ClipEmbeddingTransformer transformer = ImageEmbedding(w).Fit(w.Train);
            use(transformer, w);
        });

    private static ClipEmbeddingEstimator ImageEmbedding(World world) =>
        world.Context.Transforms.ClipImageEmbedding("Features", "ImagePath", world.Small.Backbone);

    private static ClipZeroShotEstimator ZeroShot(World world) =>
        world.Context.MulticlassClassification.ClipZeroShot(
            world.Small.Backbone,
            ["red", "green", "blue"],
            new ClipZeroShotOptions { ImageColumnName = "ImagePath" }
        );
}
