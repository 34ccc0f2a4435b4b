using Microsoft.ML.Data;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>A process that fits and predicts for days must not grow.</summary>
[Collection(RunsAlone.Name)]
public sealed class FitLeakTests(SmallBackbone small, ColourPictures pictures) : IClassFixture<SmallBackbone>, IClassFixture<ColourPictures>
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_fit_finished_or_cancelled_leaves_no_tensor_behind(bool cancelled)
    {
        FitAndPredict(cancelled);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;
        for (int i = 0; i < 2; i++) FitAndPredict(cancelled);
        // TorchSharp counts a Parameter once more than it frees: it takes over a tensor's handle without counting that one down.
        int parametersPerFit = 2 + 2 * (small.Backbone.Config.Vision.Layers + small.Backbone.Config.Text.Layers);
        Assert.InRange(Tensor.TotalCount - before, long.MinValue, 2 * parametersPerFit);
    }

    private void FitAndPredict(bool cancelled)
    {
        var mlContext = new MLContext(1);
        IDataView data = mlContext.Data.LoadFromEnumerable(pictures.Train);
        using var source = new CancellationTokenSource();
        using var workspace = new TemporaryFolder();
        DplTrainer trainer = mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            CandidateLengths = [0, 1, 3],
            SearchEpochs = 1,
            TrainingEpochs = 2,
            DistillationWeight = 0.5,
            Progress = new CancelAt(cancelled ? source : null),
            CancellationToken = source.Token,
            WorkspacePath = workspace.FullPath,
            CheckpointMinutes = 1e-9,
        });
        if (cancelled)
        {
            Assert.Throws<OperationCanceledException>(() => trainer.Fit(data));
            return;
        }
        using DplTransformer transformer = trainer.Fit(data);
        Assert.Equal(pictures.Train.Count, transformer.Transform(data).GetColumn<float[]>("Score").Count());
    }

    /// <summary>Cancels in the training stage, behind an epoch that was validated.</summary>
    private sealed class CancelAt(CancellationTokenSource? source) : IProgress<DplProgress>
    {
        public void Report(DplProgress value)
        {
            if (value is { Stage: DplStage.Training, Epoch: 2 }) source?.Cancel();
        }
    }
}
