namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Models with a task residual, a learned vector for each class.</summary>
public sealed class TaskResidualFitTests(SmallBackbone small, ColourImages images) : ColourFits(small, images)
{
    private protected override DplTrainer.Options Common =>
        new() { Configuration = PromptConfiguration.Uniform(Small.Backbone, 2), Training = { Epochs = 3, LearningRate = 0.02 } };

    [Fact]
    public void The_robust_recipe_has_one_and_the_paper_s_none()
    {
        using DplTransformer robust = Fit(_ => { }),
            without = Fit(o => o.Design.TaskResidual = 0),
            paper = Fit(o => o.Training.Recipe = TrainingRecipe.Paper);
        Assert.Equal(16, robust.Design!.TaskResidual);
        Assert.Contains("task residual 16", robust.Design.ToString(), StringComparison.Ordinal);
        float[,] residual = robust.ExportPrompts().TaskResidual!;
        Assert.Equal((3, (int)Small.Backbone.Config.EmbeddingWidth), (residual.GetLength(0), residual.GetLength(1)));
        Assert.NotEqual(0, residual.Cast<float>().Max());
        foreach (DplTransformer none in (DplTransformer[])[without, paper])
        {
            Assert.Null(none.Design);
            Assert.Null(none.ExportPrompts().TaskResidual);
        }
        Assert.NotEqual(Scores(robust), Scores(without));
    }

    [Fact]
    public void Without_prompts_it_is_TaskRes_and_without_either_zero_shot_CLIP()
    {
        PromptConfiguration none = PromptConfiguration.ZeroShot(Small.Backbone);
        using DplTransformer zeroShot = Fit(o => o.Configuration = none),
            taskRes = Fit(o => (o.Configuration, o.Design.TaskResidual) = (none, 1));
        Assert.Null(zeroShot.ExportPrompts().TaskResidual);
        Assert.True(taskRes.Configuration.IsZeroShot);
        (ExportedPrompts before, ExportedPrompts after) = (zeroShot.ExportPrompts(), taskRes.ExportPrompts());
        float[,] expected = Unit(before.ClassFeatures!, after.TaskResidual!);
        Assert.Equal(expected.Cast<float>(), after.ClassFeatures!.Cast<float>(), (a, b) => Math.Abs(a - b) < 1e-5f);
    }

    [Fact]
    public void It_goes_into_files_of_prompts_and_back_to_the_same_bits()
    {
        using var folder = new TemporaryFolder();
        using DplTransformer trained = Fit(_ => { });
        trained.ExportPrompts().Save(folder.File("prompts.safetensors"));
        ExportedPrompts read = ExportedPrompts.Load(folder.File("prompts.safetensors"));
        Assert.Equal(trained.ExportPrompts().TaskResidual, read.TaskResidual);
        using DplTransformer rebuilt = MLContext.DifferentiablePromptModel(read, Small.Backbone, "ImagePath"),
            loaded = Reloaded(rebuilt);
        Assert.Equal(Scores(trained), Scores(rebuilt));
        Assert.Equal(Scores(trained), Scores(loaded));
        Assert.Equal(read.TaskResidual, loaded.ExportPrompts().TaskResidual);
    }

    [Fact]
    public void Names_that_were_trained_keep_their_rows_and_new_ones_have_none()
    {
        using DplTransformer trained = Fit(_ => { });
        ExportedPrompts prompts = trained.ExportPrompts();
        string kept = trained.ClassNames[1];
        using DplTransformer mixed = trained.WithClasses(["orange", kept]),
            fresh = trained.WithClasses(["orange", "grey"]);
        float[,] residual = mixed.ExportPrompts().TaskResidual!;
        Assert.All(Row(residual, 0), value => Assert.Equal(0, value));
        Assert.Equal(Row(prompts.TaskResidual!, 1), Row(residual, 1));
        Assert.Null(fresh.ExportPrompts().TaskResidual);

        using DplTransformer byHand = MLContext.DifferentiablePromptModel(
                prompts with
                {
                    ClassNames = ["orange", kept],
                },
                Small.Backbone,
                "ImagePath"
            ),
            withoutAny = MLContext.DifferentiablePromptModel(
                prompts with
                {
                    ClassNames = ["orange", "grey"],
                    TaskResidual = null,
                },
                Small.Backbone,
                "ImagePath"
            );
        Assert.Equal(Scores(mixed), Scores(byHand));
        Assert.Equal(Scores(fresh), Scores(withoutAny));
    }

    [Fact]
    public void Files_keep_the_rows_of_the_names_that_they_name()
    {
        using var folder = new TemporaryFolder();
        using DplTransformer trained = Fit(_ => { });
        ExportedPrompts prompts = trained.ExportPrompts();
        (prompts with { ClassNames = [trained.ClassNames[2], "grey"] }).Save(folder.File("some.safetensors"));
        ExportedPrompts read = ExportedPrompts.Load(folder.File("some.safetensors"));
        Assert.Equal(Row(prompts.TaskResidual!, 2), Row(read.TaskResidual!, 0));
        Assert.All(Row(read.TaskResidual!, 1), value => Assert.Equal(0, value));
    }

    [Fact]
    public void A_name_in_another_form_of_Unicode_keeps_its_row()
    {
        using var folder = new TemporaryFolder();
        LabelledImage[] rows =
        [
            .. Images.Train.Select(row => new LabelledImage
            {
                ImagePath = row.ImagePath,
                Label = row.Label == "red" ? "ros\u00E9" : row.Label,
            }),
        ];
        using DplTransformer trained = Fit(_ => { }, rows);
        ExportedPrompts prompts = trained.ExportPrompts();
        string[] decomposed = [.. trained.ClassNames.Select(name => name.Replace("\u00E9", "e\u0301", StringComparison.Ordinal))];
        Assert.NotEqual(trained.ClassNames, decomposed);
        (prompts with { ClassNames = decomposed }).Save(folder.File("decomposed.safetensors"));
        ExportedPrompts read = ExportedPrompts.Load(folder.File("decomposed.safetensors"));
        using DplTransformer rebuilt = MLContext.DifferentiablePromptModel(read, Small.Backbone, "ImagePath"),
            some = MLContext.DifferentiablePromptModel(read with { ClassNames = ["ros\u00E9", "grey"] }, Small.Backbone, "ImagePath");
        Assert.Equal(trained.ClassNames, rebuilt.ClassNames);
        Assert.Equal(Scores(trained), Scores(rebuilt));
        Assert.Equal(Row(prompts.TaskResidual!, 2), Row(some.ExportPrompts().TaskResidual!, 0));
    }

    [Fact]
    public void A_residual_of_another_shape_or_without_numbers_is_refused()
    {
        using DplTransformer trained = Fit(_ => { });
        ExportedPrompts prompts = trained.ExportPrompts();
        int width = (int)Small.Backbone.Config.EmbeddingWidth;
        var infinite = new float[3, width];
        infinite[1, 1] = float.PositiveInfinity;
        foreach (var (residual, part) in new[] { (new float[2, width], $"[2, {width}]"), (infinite, "is not finite") })
        {
            ArgumentException e = Assert.Throws<ArgumentException>(() =>
                MLContext.DifferentiablePromptModel(prompts with { TaskResidual = residual }, Small.Backbone, "ImagePath")
            );
            Assert.Contains(part, e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_training_goes_on_from_it()
    {
        using DplTransformer first = Fit(_ => { }),
            again = Trainer(o => (o.Configuration, o.Training.LearningRate) = (null, 1e-30)).Fit(View(Images.Train), first);
        float[] before = [.. first.ExportPrompts().TaskResidual!.Cast<float>()],
            after = [.. again.ExportPrompts().TaskResidual!.Cast<float>()];
        Assert.Equal(before, after, (a, b) => Math.Abs(a - b) < 1e-6f);
        ArgumentException e = Assert.Throws<ArgumentException>(() =>
            Trainer(o => (o.Configuration, o.Design.TaskResidual) = (null, 0)).Fit(View(Images.Train), first)
        );
        Assert.Contains("task residual", e.Message, StringComparison.Ordinal);
        using DplTransformer plain = Fit(o => o.Design.TaskResidual = 0),
            stays = Trainer(o => o.Configuration = null).Fit(View(Images.Train), plain),
            gets = Trainer(o => (o.Configuration, o.Design.TaskResidual) = (null, 2)).Fit(View(Images.Train), plain);
        Assert.Null(stays.ExportPrompts().TaskResidual);
        Assert.NotNull(gets.ExportPrompts().TaskResidual);
    }

    [Fact]
    public void A_mixture_has_one_too()
    {
        using DplTransformer mixture = Fit(o =>
        {
            o.Configuration = null;
            (o.Search.CandidateLengths, o.Search.Epochs, o.Search.Result) = ([0, 1, 3], 2, SearchResult.Mixture);
            (o.Search.Compare, o.Validation.RowsPerClass) = (false, 2);
        });
        Assert.NotNull(mixture.Mixture);
        Assert.NotNull(mixture.ExportPrompts().TaskResidual);
        using DplTransformer loaded = Reloaded(mixture);
        Assert.Equal(Scores(mixture), Scores(loaded));
    }

    private DplTrainer Trainer(Action<DplTrainer.Options> change)
    {
        DplTrainer.Options options = Common;
        (options.Backbone, options.ImageColumnName, options.Training.BatchSize) = (Small.Backbone, "ImagePath", 6);
        change(options);
        return MLContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options);
    }

    private static float[] Row(float[,] rows, int row) => [.. Enumerable.Range(0, rows.GetLength(1)).Select(column => rows[row, column])];

    private static float[,] Unit(float[,] features, float[,] residual)
    {
        var unit = new float[features.GetLength(0), features.GetLength(1)];
        for (int c = 0; c < unit.GetLength(0); c++)
        {
            double[] row = [.. Row(features, c).Zip(Row(residual, c), (t, r) => (double)t + r)];
            double length = Math.Sqrt(row.Sum(x => x * x));
            for (int i = 0; i < row.Length; i++)
                unit[c, i] = (float)(row[i] / length);
        }
        return unit;
    }
}
