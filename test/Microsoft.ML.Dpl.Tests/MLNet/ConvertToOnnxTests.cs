using Microsoft.ML.Data;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Model.OnnxConverter;

namespace Microsoft.ML.Dpl.Tests.MLNet;

/// <summary>ML.NET's own conversion asks the views of a pipeline, starting from the last, whether they can be written as ONNX.</summary>
public sealed class ConvertToOnnxTests : IDisposable
{
    private readonly ImageFixture _images = new();

    public void Dispose() => _images.Dispose();

    [Fact]
    public void The_scoring_view_refuses_and_names_SaveAsOnnx()
    {
        IDataView input = _images.View(new MLContext(), ImageForm.Path, LabelKind.Text),
            scored = new BatchedScoringDataView(
                input,
                ImageColumn.Find(input.Schema, "Image", new ImageReading(null)).ScoredBy(new FakeScorer()),
                new ScoreSchema(
                    new LabelClasses(LabelKind.Text, FakeScorer.Classes, TextDataViewType.Instance, "The test"),
                    "PredictedLabel",
                    "Score"
                )
            );
        // ML.NET would take a view that is not an IDataTransform for the pipeline's input, and write a file without the scoring.
        Assert.Same(input, Assert.IsAssignableFrom<IDataTransform>(scored).Source);
        Assert.Contains(
            "SaveAsOnnx",
            Assert.Throws<NotSupportedException>(() => ((ITransformCanSaveOnnx)scored).CanSaveOnnx(null!)).Message
        );
    }
}
