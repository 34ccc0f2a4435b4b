using System.Collections.Concurrent;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.Fit;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Training that continues from an earlier model.</summary>
public sealed class WarmStartTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    // A learning rate so small that a step changes nothing.
    private const double Standstill = 1e-30;

    private readonly MLContext _mlContext = new MLContext(1).Knowing(small.Backbone);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_training_that_stands_still_gives_the_model_that_it_began_with(bool context)
    {
        using DplTransformer first = Trainer(o => WithContext(o, context)).Fit(Load(images.Train));
        using DplTransformer again = Trainer(o =>
            {
                WithContext(o, context);
                (o.Configuration, o.Training.LearningRate) = (null, Standstill);
            })
            .Fit(Load(images.Train), first);
        Assert.Equal(first.Configuration, again.Configuration);
        ExportedPrompts before = first.ExportPrompts(),
            after = again.ExportPrompts();
        Assert.Equal(before.Text, after.Text);
        Assert.Equal(before.Image, after.Image);
        Assert.Equal(before.Context, after.Context);
        // The temperature has its own learning rate, so the few steps change it a little.
        double cooled = after.LogitScale!.Value / before.LogitScale!.Value;
        Assert.InRange(cooled, 0.85, 1.15);
        float[][] expected = Scores(first),
            found = Scores(again);
        for (int row = 0; row < expected.Length; row++)
        {
            double[] powers = [.. expected[row].Select(p => Math.Pow(p, cooled))];
            for (int c = 0; c < 3; c++)
                Assert.Equal(powers[c] / powers.Sum(), found[row][c], 1e-4);
        }
    }

    [Fact]
    public void It_begins_with_the_loss_that_the_first_training_ended_with()
    {
        using DplTransformer first = Trainer(o => o.Training.Epochs = 30).Fit(Load(images.Train));
        double fresh = FirstLoss(trainer => trainer.Fit(Load(images.Train))),
            warm = FirstLoss(trainer => trainer.Fit(Load(images.Train), first));
        Assert.True(warm < fresh - 0.05, $"first epoch: {warm} from the model, {fresh} afresh");

        double FirstLoss(Func<DplTrainer, DplTransformer> fit)
        {
            double? loss = null;
            fit(
                    Trainer(o =>
                    {
                        (o.Training.Epochs, o.Training.LearningRate) = (1, 1e-6);
                        o.Progress = new ProgressRecorder(p => loss = p.EndedEpoch?.TrainLoss ?? loss);
                    })
                )
                .Dispose();
            return loss!.Value;
        }
    }

    [Fact]
    public void The_same_start_gives_the_same_bits_and_another_other_ones()
    {
        using DplTransformer first = Trainer(_ => { }).Fit(Load(images.Train)),
            other = Trainer(o => o.Seed = 9).Fit(Load(images.Train)),
            one = Trainer(_ => { }).Fit(Load(images.Train), first),
            two = Trainer(_ => { }).Fit(Load(images.Train), first),
            three = Trainer(_ => { }).Fit(Load(images.Train), other);
        Assert.Equal(one.ExportPrompts().Image, two.ExportPrompts().Image);
        Assert.NotEqual(one.ExportPrompts().Image, three.ExportPrompts().Image);
        Assert.NotEqual(one.ExportPrompts().Image, first.ExportPrompts().Image);
    }

    [Fact]
    public void A_checkpoint_of_another_start_is_refused()
    {
        using var folder = new TemporaryFolder();
        using DplTransformer first = Trainer(_ => { }).Fit(Load(images.Train)),
            other = Trainer(o => o.Seed = 9).Fit(Load(images.Train)),
            warmer = WithLogitScale(first, first.ExportPrompts().LogitScale!.Value / 2);
        using var source = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() =>
            Trainer(o =>
                {
                    (o.Compute.WorkspacePath, o.CancellationToken) = (folder.FullPath, source.Token);
                    o.Progress = new ProgressRecorder(p =>
                    {
                        if (p.Epoch == 2)
                            source.Cancel();
                    });
                })
                .Fit(Load(images.Train), first)
        );
        foreach (DplTransformer another in new[] { other, warmer })
        {
            DplTrainer trainer = Trainer(o => o.Compute.WorkspacePath = folder.FullPath);
            string message = Assert.Throws<InvalidOperationException>(() => trainer.Fit(Load(images.Train), another)).Message;
            Assert.Contains("InitialSha256", message);
        }
        using DplTransformer resumed = Trainer(o => o.Compute.WorkspacePath = folder.FullPath).Fit(Load(images.Train), first),
            whole = Trainer(_ => { }).Fit(Load(images.Train), first);
        Assert.Equal(whole.ExportPrompts().Image, resumed.ExportPrompts().Image);
    }

    [Fact]
    public void The_paper_s_recipe_trains_at_CLIP_s_own_scale_and_warns_where_the_model_had_another()
    {
        var warnings = new ConcurrentQueue<string>();
        _mlContext.Log += (_, e) =>
        {
            if (e.Kind == ChannelMessageKind.Warning && e.Message.Contains("has a temperature of", StringComparison.Ordinal))
                warnings.Enqueue(e.Message);
        };
        static void Plain(DplTrainer.Options o) => o.Design.TaskResidual = 0;
        static void Paper(DplTrainer.Options o)
        {
            Plain(o);
            o.Training.Recipe = TrainingRecipe.Paper;
        }
        using DplTransformer robust = Trainer(Plain).Fit(Load(images.Train)),
            own = Trainer(Paper).Fit(Load(images.Train)),
            warm = Trainer(Plain).Fit(Load(images.Train), robust),
            further = Trainer(Paper).Fit(Load(images.Train), own);
        Assert.Empty(warnings);
        using DplTransformer dropped = Trainer(Paper).Fit(Load(images.Train), robust);
        Assert.Contains("Training.Recipe = Paper has none", Assert.Single(warnings));
        double? scale = own.ExportPrompts().LogitScale;
        Assert.Equal(scale, further.ExportPrompts().LogitScale);
        Assert.Equal(scale, dropped.ExportPrompts().LogitScale);
        Assert.NotEqual(scale, warm.ExportPrompts().LogitScale);
    }

    [Fact]
    public void Models_that_do_not_fit_are_refused_with_the_reason()
    {
        using DplTransformer first = Trainer(_ => { }).Fit(Load(images.Train));
        using var otherClip = new TemporaryFolder();
        SmallBackbone.Write(otherClip.FullPath, seed: 8);
        Clip.HuggingFaceFolder.WritePreprocessor(otherClip.FullPath, small.Backbone.Config.ImageSize);
        Refused(o => o.Backbone = ClipBackbone.FromFolder(otherClip.FullPath), "was trained on the CLIP");
        Refused(o => o.Configuration = PromptConfiguration.Uniform(small.Backbone, 2), "prompt lengths");
        Refused(o => (o.Configuration, o.Design.Coupled) = (null, true), "Design.Coupled");
        Refused(o => WithContext(o, true), "its context in the texts");
        Refused(o => (o.Configuration, o.Validation.Calibrate) = (null, true), "Validation.Calibrate needs validation rows");
        Refused(
            o => (o.Configuration, o.Validation.RowsPerClass, o.Validation.Refit) = (null, 1, true),
            "Validation.Refit trains the winner of a search"
        );
        using (
            DplTransformer zeroShot = _mlContext
                .MulticlassClassification.ClipZeroShot(small.Backbone, first.ClassNames, null, "ImagePath")
                .Fit(Load(images.Train))
        )
            Assert.Contains(
                "has no prompts",
                Assert.Throws<ArgumentException>(() => Trainer(o => o.Configuration = null).Fit(Load(images.Train), zeroShot)).Message
            );
        IEnumerable<LabelledImage> two = images.Train.Where(row => row.Label != "blue");
        string message = Assert.Throws<InvalidOperationException>(() => Trainer(_ => { }).Fit(Load(two), first)).Message;
        Assert.Contains("'blue', 'green', 'red', but the data has 'green', 'red'", message);
        first.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Trainer(_ => { }).Fit(Load(images.Train), first));

        void Refused(Action<DplTrainer.Options> change, string part) =>
            Assert.Contains(part, Assert.Throws<ArgumentException>(() => Trainer(change).Fit(Load(images.Train), first)).Message);
    }

    /// <summary>The same prompts with another factor on cosine similarities.</summary>
    private DplTransformer WithLogitScale(DplTransformer model, double scale) =>
        _mlContext.DifferentiablePromptModel(model.ExportPrompts() with { LogitScale = scale }, small.Backbone, "ImagePath");

    private static void WithContext(DplTrainer.Options options, bool context) =>
        options.Design.Context = context ? new PromptContext { Length = 2 } : null;

    private float[][] Scores(DplTransformer model) => [.. model.Transform(Load(images.Test)).GetColumn<float[]>("Score")];

    private IDataView Load(IEnumerable<LabelledImage> rows) => _mlContext.Data.LoadFromEnumerable(rows);

    private DplTrainer Trainer(Action<DplTrainer.Options> change)
    {
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Configuration = PromptConfiguration.Uniform(small.Backbone, 1),
            Training = { Epochs = 3, BatchSize = 9 },
        };
        change(options);
        return _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options);
    }
}
