using Microsoft.ML.Dpl.Tests.Fit;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>A search without training is bit-identical to the first stage of a fit.</summary>
public sealed class SearchAloneTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new(1);

    [Fact]
    public void It_takes_the_steps_of_a_fits_search()
    {
        var reports = new ProgressRecorder();
        SearchOutcome alone = Search(o => o.Progress = reports);
        DplTrainer.Options options = Options();
        (options.Training.Epochs, options.Search.Compare) = (1, false);
        using DplTransformer fit = _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options).Fit(Train);
        Assert.Equal(fit.Configuration, alone.Configuration);
        Assert.False(alone.WasCancelled);
        Assert.Equal(Text(fit.SearchReport!), Text(alone.Report));
        Assert.All(reports.Seen, report => Assert.Equal(FitStage.Search, report.Stage));
    }

    [Fact]
    public void Interrupted_it_goes_on_from_its_workspace_to_the_same_bits()
    {
        using var folder = new TemporaryFolder();
        string expected = Text(Search(_ => { }).Report);
        using var source = new CancellationTokenSource();
        SearchOutcome cut = Search(o =>
        {
            (o.Compute.WorkspacePath, o.Compute.CheckpointInterval, o.OnCancel, o.CancellationToken) = (
                folder.File("workspace"),
                TimeSpan.FromTicks(1),
                InterruptionBehavior.ReturnBest,
                source.Token
            );
            o.Progress = new ProgressRecorder(report =>
            {
                if (report is { Epoch: 2, Step: 2 })
                    source.Cancel();
            });
        });
        Assert.True(cut.WasCancelled);
        Assert.Single(cut.Report.Epochs);

        // A fit refuses the workspace of a search and says why.
        DplTrainer.Options fit = Options();
        fit.Compute.WorkspacePath = folder.File("workspace");
        string message = Assert
            .Throws<InvalidOperationException>(() =>
                _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(fit).Fit(Train)
            )
            .Message;
        Assert.Contains("search without training", message);

        SearchOutcome gone = Search(o => o.Compute.WorkspacePath = folder.File("workspace"));
        Assert.Equal(expected, Text(gone.Report));
        Assert.Empty(Directory.GetFiles(folder.File("workspace"), "checkpoint*"));
    }

    [Fact]
    public void A_given_configuration_leaves_nothing_to_search() =>
        Assert.Contains(
            "nothing to search",
            Assert.Throws<ArgumentException>(() => Search(o => o.Configuration = PromptConfiguration.Uniform(small.Backbone, 1))).Message
        );

    private IDataView Train => _mlContext.Data.LoadFromEnumerable(images.Train);

    private DplTrainer.Options Options() =>
        new()
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Search =
            {
                CandidateLengths = [0, 2],
                Epochs = 3,
                AlphaLearningRate = 0.02,
            },
            Training = { Recipe = TrainingRecipe.Paper },
            Validation = { RowsPerClass = 2 },
        };

    private SearchOutcome Search(Action<DplTrainer.Options> change)
    {
        DplTrainer.Options options = Options();
        change(options);
        return _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options).Search(Train);
    }

    private static string Text(SearchReport report) => System.Text.Json.JsonSerializer.Serialize(report);
}
