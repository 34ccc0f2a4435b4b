using System.IO.Compression;
using System.Text.Json.Nodes;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Tests.Fit;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>What a cancelled fit returns when it is asked for the best result so far.</summary>
public sealed class CancellationTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new(1);

    [Fact]
    public void In_training_the_best_validated_prompts_come_back_and_the_zip_says_so()
    {
        var reports = new ProgressRecorder();
        using DplTransformer early = FitUntil(FitStage.Training, 4, 1, reports),
            late = FitUntil(FitStage.Training, 4, 2);
        Assert.True(early.WasCancelled);
        Assert.Equal(reports.Seen.Max(r => r.ValidationAccuracy), early.ValidationAccuracy);
        // The steps of the unfinished epoch have changed the prompts; the best validated ones are restored.
        Assert.Equal(Scores(early), Scores(late));

        using var folder = new TemporaryFolder();
        string zip = folder.File("model.zip");
        _mlContext.Model.Save(early, _mlContext.Data.LoadFromEnumerable(images.Test).Schema, zip);
        using (DplTransformer again = Load(zip))
        {
            Assert.True(again.WasCancelled);
            Assert.Equal(Scores(early), Scores(again));
        }
        // A zip as written before wasCancelled was stored.
        using (ZipArchive archive = ZipFile.Open(zip, ZipArchiveMode.Update))
        {
            ZipArchiveEntry entry = archive.Entries.Single(e => e.Name == "dpl.json");
            JsonNode description;
            using (Stream read = entry.Open())
                description = JsonNode.Parse(read)!;
            Assert.True(description.AsObject().Remove("wasCancelled"));
            string name = entry.FullName;
            entry.Delete();
            using var writer = new StreamWriter(archive.CreateEntry(name).Open());
            writer.Write(description.ToJsonString());
        }
        using DplTransformer old = Load(zip);
        Assert.False(old.WasCancelled);
        Assert.Equal(Scores(early), Scores(old));
    }

    [Fact]
    public void In_training_without_validation_rows_the_present_prompts_come_back()
    {
        void Fixed(DplTrainer.Options o) =>
            (o.Validation.RowsPerClass, o.Configuration) = (null, PromptConfiguration.Uniform(small.Backbone, 2));
        using DplTransformer early = FitUntil(FitStage.Training, 3, 1, change: Fixed),
            late = FitUntil(FitStage.Training, 3, 2, change: Fixed);
        Assert.True(early.WasCancelled);
        Assert.Null(early.ValidationAccuracy);
        Assert.NotEqual(Scores(early), Scores(late));
    }

    [Fact]
    public void In_the_search_the_choice_of_the_last_whole_epoch_comes_back_with_the_searchs_prompts()
    {
        using DplTransformer cancelled = FitUntil(FitStage.Search, 3, 2),
            sooner = FitUntil(FitStage.Search, 2, 2);
        Assert.True(cancelled.WasCancelled);
        Assert.Equal((2, 1), (cancelled.SearchReport!.Epochs.Count, sooner.SearchReport!.Epochs.Count));
        Assert.Null(cancelled.ValidationAccuracy);
        int[] text =
        [
            .. cancelled
                .SearchReport.Epochs[^1]
                .TextAlphas.Select(layer => cancelled.SearchReport.CandidateLengths[layer.ToList().IndexOf(layer.Max())]),
        ];
        Assert.Equal(text, cancelled.Configuration.Text);
        Assert.All(Scores(cancelled), row => Assert.Equal(1, row.Sum(), 1e-4));
        Assert.NotEqual(Scores(sooner), Scores(cancelled));
    }

    [Fact]
    public void Before_the_first_epoch_of_training_ends_the_searchs_prompts_are_the_best_there_is()
    {
        using DplTransformer first = FitUntil(FitStage.Training, 1, 1),
            second = FitUntil(FitStage.Training, 1, 2);
        Assert.True(first.WasCancelled);
        Assert.Equal(3, first.SearchReport!.Epochs.Count);
        Assert.Null(first.ValidationAccuracy);
        Assert.Equal(Scores(first), Scores(second));
    }

    [Fact]
    public void Before_any_epoch_ends_there_is_nothing_to_return()
    {
        Assert.Throws<OperationCanceledException>(() => FitUntil(FitStage.Search, 1, 2));
        Assert.Throws<OperationCanceledException>(() =>
            FitUntil(FitStage.Training, 1, 2, change: o =>
                (o.Validation.RowsPerClass, o.Configuration) = (null, PromptConfiguration.Uniform(small.Backbone, 1))
            )
        );
    }

    [Fact]
    public void Cancelling_the_context_returns_the_best_too()
    {
        var options = Options(
            new ProgressRecorder(r =>
            {
                if (r is { Stage: FitStage.Training, Epoch: 2 })
                    _mlContext.CancelExecution();
            })
        );
        using DplTransformer transformer = _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(_mlContext.Data.LoadFromEnumerable(images.Train));
        Assert.True(transformer.WasCancelled);
        // A cancelled MLContext stays cancelled, so the model is used from another one.
        IDataView test = new MLContext().Data.LoadFromEnumerable(images.Test);
        Assert.Equal(images.Test.Count, transformer.Transform(test).GetColumn<float[]>("Score").Count());
    }

    [Fact]
    public void A_fit_that_ends_by_itself_was_not_cancelled()
    {
        using DplTransformer transformer = FitUntil(FitStage.Training, 99, 1);
        Assert.False(transformer.WasCancelled);
    }

    private DplTransformer Load(string zip)
    {
        ITransformer loaded = new MLContext().Knowing(small.Backbone).Model.Load(zip, out _);
        return Assert.IsType<DplTransformer>(loaded is TransformerChain<ITransformer> chain ? chain.LastTransformer : loaded);
    }

    private DplTransformer FitUntil(
        FitStage stage,
        int epoch,
        int step,
        ProgressRecorder? reports = null,
        Action<DplTrainer.Options>? change = null
    )
    {
        using var source = new CancellationTokenSource();
        var recorder = new ProgressRecorder(r =>
        {
            reports?.Report(r);
            if ((r.Stage, r.Epoch, r.Step) == (stage, epoch, step))
                source.Cancel();
        });
        DplTrainer.Options options = Options(recorder);
        options.CancellationToken = source.Token;
        change?.Invoke(options);
        return _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(_mlContext.Data.LoadFromEnumerable(images.Train));
    }

    private DplTrainer.Options Options(IProgress<FitProgress> progress) =>
        new()
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Search = { CandidateLengths = [0, 1, 3], Epochs = 3 },
            Training =
            {
                Recipe = TrainingRecipe.Paper,
                Epochs = 5,
                LearningRate = 0.02,
            },
            Validation = { RowsPerClass = 2 },
            OnCancel = InterruptionBehavior.ReturnBest,
            Progress = progress,
        };

    private float[][] Scores(DplTransformer transformer) =>
        [.. transformer.Transform(_mlContext.Data.LoadFromEnumerable(images.Test)).GetColumn<float[]>("Score")];
}
