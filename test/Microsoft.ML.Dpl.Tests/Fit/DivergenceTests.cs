using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.TensorFiles;
using TorchSharp;

namespace Microsoft.ML.Dpl.Tests.Fit;

/// <summary>Fits that diverge: where they stop, what they report, and what they leave behind.</summary>
public sealed class DivergenceTests(SmallBackbone small, ColourImages images) : ColourFits(small, images)
{
    /// <summary>A learning rate that ruins every prompt in one step. It applies from the second epoch on; the first has a fixed
    /// rate.</summary>
    private const double Ruinous = 1e37;

    private protected override DplTrainer.Options Common =>
        new()
        {
            Configuration = PromptConfiguration.Uniform(Small.Backbone, 2),
            Training =
            {
                Recipe = TrainingRecipe.Paper,
                Epochs = 4,
                LearningRate = Ruinous,
            },
        };

    [Fact]
    public void Training_stops_with_place_rows_cause_and_remedy()
    {
        var reports = new ProgressRecorder();
        var e = Assert.Throws<DivergedException>(() => Fit(o => o.Progress = reports));
        Assert.Equal((FitStage.Training, 2, 2), (e.Stage, e.Epoch, e.Step));
        Assert.Equal(4, reports.Seen.Count);
        Assert.All(reports.Seen, report => Assert.True(double.IsFinite(report.TrainLoss)));
        Assert.Equal(6, e.Rows.Count);
        Assert.False(e.IsInValidationSet);
        Assert.All(e.Rows, row => Assert.Contains($"{row} ('{Images.Train[(int)row].ImagePath}')", e.Message));
        Assert.Contains("training epoch 2, step 2; the batch is training rows ", e.Message);
        Assert.Contains("too high a learning rate: Training.LearningRate is 1e+37", e.Message);
        Assert.Contains("Set Training.LearningRate to 1e+36 or less", e.Message);
        Assert.Contains("OnDivergence = ReturnBest", e.Message);
    }

    [Fact]
    public void The_message_has_the_learning_rate_of_the_step_where_training_is_given_in_steps()
    {
        var reports = new ProgressRecorder();
        // Three steps an epoch, and a schedule over four epochs.
        var e = Assert.Throws<DivergedException>(() => Fit(o => (o.Training.Epochs, o.Training.Steps, o.Progress) = (null, 12, reports)));
        Assert.Contains(FormattableString.Invariant($"({reports.Seen[^1].LearningRate:g3} in this step)"), e.Message);
        Assert.Equal(e.Message, Assert.Throws<DivergedException>(() => Fit(_ => { })).Message);
    }

    [Fact]
    public void A_batch_of_a_refit_names_training_rows_and_those_of_the_validation_set_apart()
    {
        var e = Assert.Throws<DivergedException>(() =>
            Fit(o =>
            {
                (o.Configuration, o.Search.CandidateLengths, o.Search.Epochs, o.Search.LearningRate) = (null, [0, 1], 1, 0.02);
                (o.Validation.Set, o.Validation.Refit) = (View(Images.Test), true);
            })
        );
        Assert.Equal(FitStage.Training, e.Stage);
        Assert.False(e.IsInValidationSet);
        Assert.InRange(e.Rows.Count, 1, 5);
        Assert.All(e.Rows, row => Assert.Contains($"{row} ('{Images.Train[(int)row].ImagePath}')", e.Message));
        Assert.Matches(@"the batch is training rows? .+ and validation rows? \d+ \('", e.Message);
        Assert.Equal(6 - e.Rows.Count, Images.Test.Count(row => e.Message.Contains($"('{row.ImagePath}')", StringComparison.Ordinal)));
    }

    [Fact]
    public void Images_without_a_path_are_named_by_row()
    {
        var e = Assert.Throws<DivergedException>(() => Fit(o => o.ImageColumnName = "ImageBytes"));
        Assert.Contains($"training rows {string.Join(", ", e.Rows)}, counted from 0", e.Message);
    }

    [Fact]
    public void The_prompts_of_the_last_good_epoch_can_be_returned_and_the_zip_says_so()
    {
        using DplTransformer diverged = Fit(o => o.OnDivergence = InterruptionBehavior.ReturnBest),
            good = Fit(o => o.Training.Epochs = 1);
        Assert.True(diverged.HasDiverged);
        Assert.False(diverged.WasCancelled);
        Assert.False(good.HasDiverged);
        Assert.Equal(Scores(good), Scores(diverged));
        Assert.Contains(Log, line =>
            line.Contains("Training.LearningRate is 1e+37", StringComparison.Ordinal)
            && line.Contains("The prompts after 1 of 4 epochs are returned", StringComparison.Ordinal)
        );
        using var stream = new MemoryStream();
        MLContext.Model.Save(diverged, View(Images.Test).Schema, stream);
        stream.Position = 0;
        using var loaded = (DplTransformer)new MLContext().Knowing(Small.Backbone).Model.Load(stream, out _);
        Assert.True(loaded.HasDiverged);
        Assert.Equal(Scores(good), Scores(loaded));
    }

    [Fact]
    public void With_validation_rows_the_best_validated_prompts_are_returned()
    {
        var reports = new ProgressRecorder();
        using DplTransformer diverged = Fit(o =>
            (o.OnDivergence, o.Validation.RowsPerClass, o.Progress) = (InterruptionBehavior.ReturnBest, 2, reports)
        );
        using DplTransformer good = Fit(o => (o.Training.Epochs, o.Validation.RowsPerClass) = (1, 2));
        Assert.True(diverged.HasDiverged);
        Assert.Equal(reports.Seen.Max(r => r.ValidationAccuracy), diverged.ValidationAccuracy);
        Assert.Equal(Scores(good), Scores(diverged));
    }

    /// <summary>The only step of the last epoch ruins the prompts, which no later loss would reveal.</summary>
    [Fact]
    public void The_last_steps_prompts_are_tried_before_they_are_returned()
    {
        static void OneStep(DplTrainer.Options o) => (o.Training.BatchSize, o.Training.Epochs) = (18, 2);
        var e = Assert.Throws<DivergedException>(() => Fit(OneStep));
        Assert.Contains("after the last step of training", e.Message);
        using DplTransformer diverged = Fit(o =>
        {
            OneStep(o);
            o.OnDivergence = InterruptionBehavior.ReturnBest;
        });
        Assert.True(diverged.HasDiverged);
        Assert.All(Scores(diverged), row => Assert.Equal(1, row.Sum(), 1e-4));
        var validated = Assert.Throws<DivergedException>(() =>
            Fit(o =>
            {
                OneStep(o);
                o.Validation.Set = View(Images.Test);
            })
        );
        Assert.Contains("validation loss became", validated.Message);
        Assert.Contains($"validation rows {validated.Rows[0]} ('{Images.Test[(int)validated.Rows[0]].ImagePath}')", validated.Message);
        Assert.True(validated.IsInValidationSet);
    }

    [Fact]
    public void The_search_returns_the_choice_of_its_last_good_epoch()
    {
        void Search(DplTrainer.Options o) =>
            (
                o.Configuration,
                o.Search.CandidateLengths,
                o.Search.Epochs,
                o.Search.LearningRate,
                o.Training.LearningRate,
                o.Validation.RowsPerClass
            ) = (null, [0, 1, 3], 4, Ruinous, 0.02, 2);
        var e = Assert.Throws<DivergedException>(() => Fit(Search));
        Assert.Equal((FitStage.Search, 2), (e.Stage, e.Epoch));
        Assert.Contains("Search.LearningRate is 1e+37", e.Message);
        Assert.Contains("Search.AlphaLearningRate is", e.Message);
        // Row numbers refer to the whole training data, including the rows held out for validation.
        Assert.False(e.IsInValidationSet);
        Assert.All(e.Rows, row => Assert.Contains($"{row} ('{Images.Train[(int)row].ImagePath}')", e.Message));

        using DplTransformer diverged = Fit(o =>
        {
            Search(o);
            o.OnDivergence = InterruptionBehavior.ReturnBest;
        });
        using var source = new CancellationTokenSource();
        using DplTransformer cancelled = Fit(o =>
        {
            Search(o);
            (o.OnCancel, o.CancellationToken) = (InterruptionBehavior.ReturnBest, source.Token);
            o.Progress = new ProgressRecorder(r =>
            {
                if (r.EndedEpoch is not null)
                    source.Cancel();
            });
        });
        Assert.True(diverged.HasDiverged);
        Assert.Single(diverged.SearchReport!.Epochs);
        Assert.Equal(cancelled.Configuration, diverged.Configuration);
        Assert.Equal(Scores(cancelled), Scores(diverged));
    }

    [Fact]
    public void Where_no_epoch_of_training_is_left_the_searchs_prompts_are_returned()
    {
        void Distilled(DplTrainer.Options o) =>
            (o.Configuration, o.Search.CandidateLengths, o.Search.Epochs, o.Training.DistillationWeight) = (null, [0, 1], 1, 3e38);
        var e = Assert.Throws<DivergedException>(() => Fit(Distilled));
        Assert.Equal((FitStage.Training, 1, 1), (e.Stage, e.Epoch, e.Step));
        Assert.Contains("Training.DistillationWeight, which is 3e+38", e.Message);
        using DplTransformer diverged = Fit(o =>
        {
            Distilled(o);
            o.OnDivergence = InterruptionBehavior.ReturnBest;
        });
        Assert.True(diverged.HasDiverged);
        Assert.All(Scores(diverged), row => Assert.Equal(1, row.Sum(), 1e-4));
    }

    [Theory]
    [InlineData(60)]
    [InlineData(1e-8)]
    public void With_a_workspace_the_checkpoints_stay_and_give_the_best(double minutes)
    {
        using var folder = new TemporaryFolder();
        string workspace = folder.File("workspace");
        void Kept(DplTrainer.Options o) =>
            (o.Compute.WorkspacePath, o.Compute.CheckpointInterval) = (workspace, TimeSpan.FromMinutes(minutes));
        string message = Assert.Throws<DivergedException>(() => Fit(Kept)).Message;
        Assert.Contains($"The checkpoints in '{workspace}' stay", message);
        Assert.Equal(2, Directory.GetFiles(workspace, "checkpoint-*").Length);
        var reports = new ProgressRecorder();
        using DplTransformer diverged = Fit(o =>
        {
            Kept(o);
            (o.OnDivergence, o.Progress) = (InterruptionBehavior.ReturnBest, reports);
        });
        using DplTransformer good = Fit(o => o.Training.Epochs = 1);
        Assert.DoesNotContain(reports.Seen, report => report.Epoch == 1);
        Assert.True(diverged.HasDiverged);
        Assert.Equal(Scores(good), Scores(diverged));
        Assert.Empty(Directory.GetFiles(workspace, "checkpoint-*"));
    }

    /// <summary>The last good values are read from a checkpoint written within an epoch, or recomputed from one written before the
    /// epoch.</summary>
    [Theory]
    [InlineData(60)]
    [InlineData(1e-8)]
    public void With_a_workspace_the_searchs_last_good_epoch_is_kept_too(double minutes)
    {
        using var folder = new TemporaryFolder();
        void Search(DplTrainer.Options o) =>
            (
                o.Configuration,
                o.Search.CandidateLengths,
                o.Search.Epochs,
                o.Search.LearningRate,
                o.Validation.RowsPerClass,
                o.Training.BatchSize
            ) = (null, [0, 1, 3], 4, Ruinous, 2, 4);
        void Kept(DplTrainer.Options o)
        {
            Search(o);
            (o.Compute.WorkspacePath, o.Compute.CheckpointInterval) = (folder.File("workspace"), TimeSpan.FromMinutes(minutes));
        }
        var e = Assert.Throws<DivergedException>(() => Fit(Kept));
        Assert.Equal((FitStage.Search, 2), (e.Stage, e.Epoch));
        var reports = new ProgressRecorder();
        using DplTransformer again = Fit(o =>
        {
            Kept(o);
            (o.OnDivergence, o.Progress) = (InterruptionBehavior.ReturnBest, reports);
        });
        using DplTransformer atOnce = Fit(o =>
        {
            Search(o);
            o.OnDivergence = InterruptionBehavior.ReturnBest;
        });
        Assert.DoesNotContain(reports.Seen, report => report.Epoch == 1);
        Assert.True(again.HasDiverged);
        Assert.Equal(atOnce.Configuration, again.Configuration);
        Assert.Equal(Scores(atOnce), Scores(again));
    }

    [Fact]
    public void A_row_that_outweighs_all_others_is_the_cause_that_is_named()
    {
        LabelledImage[] rows =
        [
            .. Enumerable
                .Repeat(Images.Train, 4)
                .SelectMany(p => p)
                .Select(
                    (p, i) =>
                        new LabelledImage
                        {
                            ImagePath = p.ImagePath,
                            Label = p.Label,
                            Weight = i == 5 ? 1e6f : 1,
                        }
                ),
        ];
        var e = Assert.Throws<DivergedException>(() =>
            Fit(o => (o.ExampleWeightColumnName, o.Training.BatchSize) = ("Weight", rows.Length), rows)
        );
        Assert.Contains("The likely cause is a weight: one of these rows counts 72 times", e.Message);
        Assert.Contains("and 64 more", e.Message);
    }

    [Fact]
    public void Weights_that_no_float_can_hold_side_by_side_are_refused()
    {
        string message = Assert
            .Throws<InvalidOperationException>(() =>
                Fit(o => o.Training.ClassWeights = new Dictionary<string, double> { ["red"] = 1e300, ["blue"] = 1e-300 })
            )
            .Message;
        Assert.Contains("from 1e-300 to 1e+300", message);
    }

    [Fact]
    public void A_clip_that_gives_no_numbers_is_named_instead_of_the_learning_rate()
    {
        using var folder = new TemporaryFolder();
        ClipBackbone overflowing = Changed(folder, "vision_model.encoder.layers.0.mlp.fc1.weight", values =>
            values / values.abs().max() * 1e38
        );
        var e = Assert.Throws<DivergedException>(() => Fit(o => o.Backbone = overflowing));
        Assert.Equal((1, 1), (e.Epoch, e.Step));
        Assert.Contains("No step had been taken, so the learning rate is not the cause", e.Message);
        Assert.DoesNotContain("OnDivergence", e.Message);
        Assert.Throws<DivergedException>(() => Fit(o => (o.Backbone, o.OnDivergence) = (overflowing, InterruptionBehavior.ReturnBest)));
        Assert.Throws<DivergedException>(() =>
            Fit(o => (o.Backbone, o.Configuration, o.Validation.RowsPerClass) = (overflowing, PromptConfiguration.ZeroShot(overflowing), 1))
        );
    }

    [Theory]
    [InlineData(
        "text_model.encoder.layers.1.self_attn.q_proj.weight",
        float.NaN,
        "1 values that are not numbers (NaN) and 0 that are infinite, of "
    )]
    [InlineData(
        "vision_model.encoder.layers.0.mlp.fc1.bias",
        float.NegativeInfinity,
        "0 values that are not numbers (NaN) and 1 that are infinite, of "
    )]
    [InlineData("visual_projection.weight", float.PositiveInfinity, "half precision")]
    public void Weights_that_are_no_numbers_are_refused_by_name_before_any_image_is_read(string tensor, float value, string expected)
    {
        using var folder = new TemporaryFolder();
        ClipBackbone broken = Changed(folder, tensor, values =>
        {
            torch.Tensor changed = values.clone();
            changed.view(-1)[^1] = value;
            return changed;
        });
        LabelledImage[] rows = [.. Images.Train, new LabelledImage { ImagePath = "/missing/a.png", Label = "red" }];
        string message = Assert.Throws<InvalidDataException>(() => Fit(o => o.Backbone = broken, rows)).Message;
        Assert.StartsWith($"{folder.File("model.safetensors")}: tensor '{tensor}' has ", message);
        Assert.Contains(expected, message);
    }

    [Fact]
    public void An_unknown_choice_is_refused_by_name() =>
        Assert.Contains(
            "OnDivergence is 7",
            Assert.Throws<ArgumentOutOfRangeException>(() => Fit(o => o.OnDivergence = (InterruptionBehavior)7)).Message
        );

    /// <summary>A copy of the small CLIP with one tensor changed.</summary>
    private ClipBackbone Changed(TemporaryFolder folder, string tensor, Func<torch.Tensor, torch.Tensor> change)
    {
        foreach (string path in Directory.GetFiles(Small.Folder))
            folder.Copy(path);
        string weights = folder.File("model.safetensors");
        using (torch.NewDisposeScope())
            SafetensorsBytes.Rewrite(Path.Combine(Small.Folder, "model.safetensors"), weights, (name, values) =>
                name == tensor ? change(values) : values
            );
        return ClipBackbone.Open(folder.FullPath);
    }
}
