using Microsoft.ML.Data;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>A process that fits and predicts for days must not leak tensors.</summary>
[Collection(RunsAlone.Name)]
public sealed class FitLeakTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    public enum Kind
    {
        Finished,
        Cancelled,
        Resumed,
        Unvalidated,
        Designed,
    }

    [Theory]
    [InlineData(Kind.Finished)]
    [InlineData(Kind.Cancelled)]
    [InlineData(Kind.Resumed)]
    [InlineData(Kind.Unvalidated)]
    [InlineData(Kind.Designed)]
    public void A_fit_leaves_no_tensor_behind(Kind kind)
    {
        Run(kind);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;
        for (int i = 0; i < 2; i++)
            Run(kind);
        // TorchSharp counts a Parameter once more than it frees: it takes over a tensor's handle without counting that one down.
        // A fit has alphas; in every layer the prompts of the search, of the search's choice, of three finalists and of the training; for
        // each of these sets of prompts a task residual; for each training a temperature; and for the class features a copy of the text
        // prompts.
        int layers = small.Backbone.Config.Image.Layers + small.Backbone.Config.Text.Layers,
            parametersPerFit = (kind == Kind.Unvalidated ? 2 + layers : 13 + 6 * layers) + small.Backbone.Config.Text.Layers;
        // Beside its rows, each set of prompts has two parameters per coupled layer, and a context.
        if (kind == Kind.Designed)
            parametersPerFit += 6 * (2 * layers + 1);
        Assert.InRange(Tensor.TotalCount - before, long.MinValue, (kind == Kind.Resumed ? 2 : 1) * 2 * parametersPerFit);
    }

    private void Run(Kind kind)
    {
        using var workspace = new TemporaryFolder();
        if (kind is Kind.Cancelled or Kind.Resumed)
            FitAndPredict(workspace, cancelled: true);
        if (kind != Kind.Cancelled)
            FitAndPredict(
                workspace,
                cancelled: false,
                kind == Kind.Unvalidated ? PromptConfiguration.Uniform(small.Backbone, 1) : null,
                kind == Kind.Designed
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
            (options.Design.Coupled, options.Design.Context, options.Design.Templates) = (true, new PromptContext(), ["a {}.", "{}"]);
            (options.Design.PromptSrc, options.Design.ProGrad, options.Design.Average) = (new(), new(), EpochAverage.Gaussian());
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

    /// <summary>Cancels in the training stage, after an epoch that was validated.</summary>
    private sealed class CancelAt(CancellationTokenSource? source) : IProgress<FitProgress>
    {
        public void Report(FitProgress value)
        {
            if (value is { Stage: FitStage.Training, Epoch: 2 })
                source?.Cancel();
        }
    }
}
