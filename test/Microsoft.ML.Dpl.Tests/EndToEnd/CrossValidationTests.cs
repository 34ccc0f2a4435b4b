using System.Collections.Concurrent;
using Microsoft.ML.Dpl.Tests.Fit;
using Xunit.Abstractions;
using CrossValidated = System.Collections.Generic.IReadOnlyList<Microsoft.ML.TrainCatalogBase.CrossValidationResult<Microsoft.ML.Data.MulticlassClassificationMetrics>>;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>An interrupted cross-validation resumes: the models of completed folds are taken from the workspace.</summary>
public sealed class CrossValidationTests(SmallBackbone small, ColourImages images, ITestOutputHelper output)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>,
        IDisposable
{
    private const int Folds = 3;

    private readonly ConcurrentQueue<string> _log = new();
    private readonly TemporaryFolder _folder = new();

    private string Workspace => _folder.File("workspace");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void It_goes_on_at_the_fold_and_step_where_it_was_interrupted()
    {
        Outcome whole = Run(null, int.MaxValue);
        Assert.Equal(Folds, whole.Steps.Count);
        Assert.Throws<Interruption>(() => Run(Workspace, whole.Steps[0] + 5));
        Assert.Equal(2, Directory.GetDirectories(Workspace, "data-*").Length);
        // Interrupted in the middle of the third fold.
        Assert.Throws<Interruption>(() => Run(Workspace, whole.Steps[1]));
        Assert.Equal(Folds, Directory.GetDirectories(Workspace, "data-*").Length);
        Outcome last = Run(Workspace, int.MaxValue);
        Assert.Equal(whole.Models, last.Models);
        Assert.Equal(whole.Losses, last.Losses);
        Assert.InRange(last.Steps.Sum(), 1, whole.Steps[2] - 1);
        output.WriteLine(
            "reliability: a cross-validation interrupted in its second and third fold ended in the same models and losses; the last "
                + $"run took {last.Steps.Sum()} of {whole.Steps.Sum()} steps"
        );

        // Completed folds stay in the workspace: another run takes no step.
        _log.Clear();
        Outcome again = Run(Workspace, int.MaxValue);
        Assert.Equal(whole.Models, again.Models);
        Assert.Equal(whole.Losses, again.Losses);
        Assert.Equal(0, again.Steps.Sum());
        Assert.Equal(Folds, _log.Count(line => line.Contains("its model is used", StringComparison.Ordinal)));
        Assert.Equal(Folds, Directory.GetDirectories(Workspace, "data-*").Length);
    }

    [Fact]
    public void Other_options_are_refused_there_too()
    {
        Assert.Throws<Interruption>(() => Run(Workspace, 4));
        string message = Assert
            .Throws<InvalidOperationException>(() => Run(Workspace, int.MaxValue, o => o.Training.BatchSize = 3))
            .Message;
        Assert.Contains("Training.BatchSize was 4 and is 3", message);
        Assert.Contains(Workspace, message);
    }

    [Fact]
    public void Without_the_option_the_refusal_names_it()
    {
        // Interrupted in the second fold: on the next run the first fold finds the second fold's checkpoint.
        Assert.Throws<Interruption>(() => Run(Workspace, Run(null, int.MaxValue).Steps[0] + 3, o => o.Compute.WorkspacePerDataSet = false));
        string message = Assert
            .Throws<InvalidOperationException>(() => Run(Workspace, int.MaxValue, o => o.Compute.WorkspacePerDataSet = false))
            .Message;
        Assert.Contains("Training data (SHA-256) was", message);
        Assert.Contains("set Compute.WorkspacePerDataSet", message);
    }

    [Fact]
    public void The_option_needs_a_workspace() =>
        Assert.Contains(
            "set Compute.WorkspacePath too",
            Assert.Throws<ArgumentException>(() => Run(null, 1, o => o.Compute.WorkspacePerDataSet = true)).Message
        );

    /// <summary>Cross-validates and interrupts the run after the given number of steps.</summary>
    private Outcome Run(string? workspace, int interruptAt, Action<DplTrainer.Options>? change = null)
    {
        var mlContext = new MLContext(1);
        mlContext.Log += (_, e) => _log.Enqueue(e.Message);
        DplTrainer.Options options = ResumableFit.Options(small.Backbone, workspace);
        (options.ExampleWeightColumnName, options.Validation.RowsPerClass) = (null, 1);
        (options.Search.Epochs, options.Training.Epochs, options.Compute.WorkspacePerDataSet) = (2, 3, workspace is not null);
        var steps = new List<int> { 0 };
        int taken = 0;
        options.Progress = new ProgressRecorder(report =>
        {
            if (taken > 0 && report is { Stage: FitStage.Search, Epoch: 1, Step: 1 })
                steps.Add(0);
            steps[^1]++;
            if (++taken == interruptAt)
                throw new Interruption();
        });
        change?.Invoke(options);
        IDataView data = mlContext
            .Transforms.Conversion.MapValueToKey("Label")
            .Fit(mlContext.Data.LoadFromEnumerable(images.Train))
            .Transform(mlContext.Data.LoadFromEnumerable(images.Train));
        CrossValidated folds = mlContext.MulticlassClassification.CrossValidate(
            data,
            mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options),
            Folds
        );
        string[] models =
        [
            .. folds.Select(fold =>
            {
                using var transformer = (DplTransformer)fold.Model;
                return ResumableFit.Content(mlContext, transformer);
            }),
        ];
        return new Outcome(models, [.. folds.Select(fold => fold.Metrics.LogLoss)], steps);
    }

    /// <param name="Models">The learnt part of each fold's model.</param>
    /// <param name="Losses">The log-loss of each fold on its held-out rows.</param>
    /// <param name="Steps">The number of steps taken in each fold that was started.</param>
    private sealed record Outcome(string[] Models, double[] Losses, IReadOnlyList<int> Steps);

    private sealed class Interruption : Exception;
}
