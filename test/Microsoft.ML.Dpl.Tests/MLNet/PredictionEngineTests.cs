using Microsoft.ML.Data;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;

namespace Microsoft.ML.Dpl.Tests.MLNet;

/// <summary>Predictions for one image at a time through <c>PredictionEngine</c>.</summary>
public sealed class PredictionEngineTests(ImageFixture images) : IClassFixture<ImageFixture>
{
    private readonly MLContext _context = new(seed: 1);
    private readonly FakeScorer _scorer = new();

    [Fact]
    public void PathsAndTextLabelsCostOneForwardEach()
    {
        using PredictionEngine<PathInput, TextOutput> engine = _context.Model.CreatePredictionEngine<PathInput, TextOutput>(
            Transformer(LabelKind.Text)
        );
        for (int i = 0; i < 6; i++)
        {
            TextOutput output = engine.Predict(new PathInput { Image = images.Paths[i] });
            Assert.Equal(FakeScorer.Classes[i % 3], output.PredictedLabel);
            Assert.Equal(3, output.Score.Length);
            Assert.Equal(output.Score.Max(), output.Score[i % 3]);
        }
        Assert.Equal((6, 6), (_scorer.Forwards, _scorer.Images));
    }

    [Fact]
    public void BytesAndKeyLabels()
    {
        using PredictionEngine<BytesInput, KeyOutput> engine = _context.Model.CreatePredictionEngine<BytesInput, KeyOutput>(
            Transformer(LabelKind.Key)
        );
        for (int i = 0; i < 3; i++)
            Assert.Equal((uint)i + 1, engine.Predict(new BytesInput { Image = File.ReadAllBytes(images.Paths[i]) }).PredictedLabel);
        Assert.Contains("no bytes", Assert.Throws<UnreadableImageException>(() => engine.Predict(new BytesInput())).Message);
    }

    [Fact]
    public void ImagesOfTheCallerStayTheCallers()
    {
        using PredictionEngine<ImageInput, TextOutput> engine = _context.Model.CreatePredictionEngine<ImageInput, TextOutput>(
            Transformer(LabelKind.Text)
        );
        using var image = MLImage.CreateFromFile(images.Paths[1]);
        Assert.Equal("green", engine.Predict(new ImageInput { Image = image }).PredictedLabel);
        Assert.Equal("green", engine.Predict(new ImageInput { Image = image }).PredictedLabel);
        Assert.Equal(4, image.Width);
    }

    [Fact]
    public void InAChainWithTransformsOnBothSides()
    {
        IDataView view = images.View(_context, ImageForm.Path, LabelKind.Key);
        var chain = _context
            .Transforms.Conversion.MapValueToKey("Label")
            .Append(_context.Transforms.CopyColumns("Image", "Path"))
            .Append(new FakeEstimator(_scorer))
            .Append(_context.Transforms.Conversion.MapKeyToValue("PredictedLabel"));
        IDataView raw = _context.Data.LoadFromEnumerable(
            Enumerable
                .Range(0, 9)
                .Select(i => new ImageFixture.Row
                {
                    Id = i,
                    Path = images.Paths[i],
                    Label = FakeScorer.Classes[i % 3],
                })
        );
        using PredictionEngine<ImageFixture.Row, TextOutput> engine = _context.Model.CreatePredictionEngine<ImageFixture.Row, TextOutput>(
            chain.Fit(raw)
        );
        Assert.Equal("blue", engine.Predict(new ImageFixture.Row { Path = images.Paths[2] }).PredictedLabel);
        Assert.Equal(1, _scorer.Forwards);
    }

    private FakeTransformer Transformer(LabelKind kind) =>
        new(
            new ModelColumns(
                "Image",
                "PredictedLabel",
                "Score",
                8,
                new LabelClasses(kind, FakeScorer.Classes, TextDataViewType.Instance, "test")
            ),
            _scorer
        );

    private sealed class PathInput
    {
        public string Image { get; set; } = "";
    }

    private sealed class BytesInput
    {
        public byte[] Image { get; set; } = [];
    }

    private sealed class ImageInput
    {
        [Microsoft.ML.Transforms.Image.ImageType(3, 4)]
        public MLImage? Image { get; set; }
    }

    private sealed class TextOutput
    {
        public string PredictedLabel { get; set; } = "";
        public float[] Score { get; set; } = [];
    }

    private sealed class KeyOutput
    {
        public uint PredictedLabel { get; set; }
        public float[] Score { get; set; } = [];
    }
}
