using Microsoft.ML.Data;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>A process that fits and predicts for days must not grow.</summary>
[Collection(RunsAlone.Name)]
public sealed class FitLeakTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    public enum Course
    {
        Finished,
        Cancelled,
        Resumed,
        Unvalidated,
        Designed,
    }

    [Theory]
    [InlineData(Course.Finished)]
    [InlineData(Course.Cancelled)]
    [InlineData(Course.Resumed)]
    [InlineData(Course.Unvalidated)]
    [InlineData(Course.Designed)]
    public void A_fit_leaves_no_tensor_behind(Course course)
    {
        Run(course);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;
        for (int i = 0; i < 2; i++)
            Run(course);
        // TorchSharp counts a Parameter once more than it frees: it takes over a tensor's handle without counting that one down.
        // A fit has alphas and, in every layer, the search's prompts, those of its choice, of three contenders and those that are trained,
        // and a temperature in each training.
        int layers = small.Backbone.Config.Vision.Layers + small.Backbone.Config.Text.Layers,
            parametersPerFit = course == Course.Unvalidated ? 1 + layers : 7 + 6 * layers;
        // Each set of prompts has two parameters a coupled layer and a context beside its rows.
        if (course == Course.Designed)
            parametersPerFit += 6 * (2 * layers + 1);
        Assert.InRange(Tensor.TotalCount - before, long.MinValue, (course == Course.Resumed ? 2 : 1) * 2 * parametersPerFit);
    }

    private void Run(Course course)
    {
        using var workspace = new TemporaryFolder();
        if (course is Course.Cancelled or Course.Resumed)
            FitAndPredict(workspace, cancelled: true);
        if (course != Course.Cancelled)
            FitAndPredict(
                workspace,
                cancelled: false,
                course == Course.Unvalidated ? PromptConfiguration.Uniform(small.Backbone, 1) : null,
                course == Course.Designed
            );
    }

    private void FitAndPredict(TemporaryFolder workspace, bool cancelled, PromptConfiguration? configuration = null, bool designed = false)
    {
        var mlContext = new MLContext(1);
        IDataView data = mlContext.Data.LoadFromEnumerable(images.Train);
        using var source = new CancellationTokenSource();
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Configuration = configuration,
            Search = { CandidateLengths = [0, 1, 3], Epochs = 1 },
            Training = { Epochs = configuration is null ? 2 : 4, DistillationWeight = 0.5 },
            Progress = new CancelAt(cancelled ? source : null),
            CancellationToken = source.Token,
            Compute = { WorkspacePath = workspace.FullPath, CheckpointInterval = TimeSpan.FromTicks(1) },
        };
        if (designed)
        {
            (options.Design.Coupled, options.Design.Context, options.Design.Templates) = (true, new DplContext(), ["a {}.", "{}"]);
            (options.Design.PromptSrc, options.Design.ProGrad, options.Design.Average) = (new(), new(), DplEpochAverage.Gaussian());
        }
        DplTrainer trainer = mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options);
        if (cancelled)
        {
            Assert.Throws<OperationCanceledException>(() => trainer.Fit(data));
            return;
        }
        using DplTransformer transformer = trainer.Fit(data);
        Assert.Equal(images.Train.Count, transformer.Transform(data).GetColumn<float[]>("Score").Count());
    }

    /// <summary>Cancels in the training stage, behind an epoch that was validated.</summary>
    private sealed class CancelAt(CancellationTokenSource? source) : IProgress<DplProgress>
    {
        public void Report(DplProgress value)
        {
            if (value is { Stage: DplStage.Training, Epoch: 2 })
                source?.Cancel();
        }
    }
}
