using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Uses of CLIP's text tower in a trained model: new classes without training, and the nearest words of prompts.</summary>
public sealed class NewClassesTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new(1);

    [Fact]
    public void The_same_names_give_the_same_scores_in_their_new_order()
    {
        using DplTransformer trained = Fit(keyLabel: true);
        float[][] scores = Scores(trained);
        using DplTransformer same = trained.WithClasses(trained.ClassNames),
            turned = trained.WithClasses(trained.ClassNames.Reverse());
        Assert.Equal(scores, Scores(same));
        Assert.Equal(trained.Template, same.Template);
        Assert.Equal(trained.Configuration, same.Configuration);
        float[][] back = [.. Scores(turned).Select(row => row.Reverse().ToArray())];
        for (int row = 0; row < scores.Length; row++)
        for (int c = 0; c < 3; c++)
            Assert.Equal(scores[row][c], back[row][c], 1e-5f);
    }

    /// <summary>New classes use the trained prompts: without these they would get plain CLIP's scores.</summary>
    [Fact]
    public void New_names_use_the_trained_prompts_and_are_ready_to_save()
    {
        string[] names = ["orange", "light_blue", "pink", "grey"];
        using DplTransformer trained = Fit(keyLabel: true),
            plain = Fit(keyLabel: true, o => o.Configuration = PromptConfiguration.ZeroShot(small.Backbone));
        using DplTransformer withNew = trained.WithClasses(names),
            plainNew = plain.WithClasses(names);
        Assert.Equal(names, withNew.ClassNames);
        Assert.Null(withNew.ValidationAccuracy);
        float[][] scores = Scores(withNew);
        Assert.All(scores, row => Assert.Equal((4, 1f), (row.Length, (float)Math.Round(row.Sum(), 4))));
        Assert.NotEqual(scores, Scores(plainNew));

        using var stream = new MemoryStream();
        _mlContext.Model.Save(withNew, Test.Schema, stream);
        stream.Position = 0;
        using var loaded = (DplTransformer)new MLContext().Knowing(small.Backbone).Model.Load(stream, out _);
        Assert.Equal(scores, Scores(loaded));
    }

    [Fact]
    public void Each_is_disposed_on_its_own()
    {
        DplTransformer trained = Fit(keyLabel: true);
        DplTransformer first = trained.WithClasses(["a", "b"]),
            second = first.WithClasses(["c", "d"]);
        float[][] scores = Scores(second);
        trained.Dispose();
        first.Dispose();
        Assert.Equal(scores, Scores(second));
        second.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Scores(second));
        Assert.Throws<ObjectDisposedException>(() => trained.WithClasses(["a", "b"]));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_kind_of_the_label_stays(bool keyLabel)
    {
        using DplTransformer trained = Fit(keyLabel);
        using DplTransformer withNew = trained.WithClasses(["x", "y"]);
        DataViewSchema.Column predicted = withNew.Transform(Test).Schema["PredictedLabel"];
        Assert.Equal(keyLabel, predicted.Type is KeyDataViewType);
        if (!keyLabel)
        {
            Assert.IsType<TextDataViewType>(predicted.Type);
            return;
        }
        VBuffer<ReadOnlyMemory<char>> values = default;
        predicted.GetKeyValues(ref values);
        Assert.Equal(["x", "y"], values.DenseValues().Select(v => v.ToString()));
    }

    [Theory]
    [InlineData("too few", "alone")]
    [InlineData("blank", "a", " ")]
    [InlineData("twice", "a", "b", "a")]
    [InlineData("cannot tell them apart", "light_blue", "light blue")]
    [InlineData("longer than", "a", "one two three four five six seven eight nine ten eleven twelve thirteen fourteen")]
    public void Names_that_cannot_work_are_refused(string expected, params string[] names)
    {
        using DplTransformer trained = Fit(keyLabel: true);
        Assert.Contains(expected, Assert.Throws<ArgumentException>(() => trained.WithClasses(names)).Message);
    }

    [Fact]
    public void A_text_branch_that_is_gone_is_named()
    {
        using var folder = new TemporaryFolder();
        SmallBackbone.Write(folder.FullPath, seed: 31);
        ClipBackbone backbone = ClipBackbone.FromFolder(folder.FullPath);
        using DplTransformer trained = Fit(keyLabel: true, o =>
            (o.Backbone, o.Configuration) = (backbone, PromptConfiguration.Uniform(backbone, 1))
        );
        File.Delete(folder.File("model.safetensors"));
        Assert.Equal(images.Test.Count, Scores(trained).Length);
        Assert.Contains("text tower", Assert.Throws<InvalidOperationException>(() => trained.WithClasses(["a", "b"])).Message);
        Assert.Contains("text tower", Assert.Throws<InvalidOperationException>(() => trained.NearestWords(0, 1)).Message);
    }

    [Theory]
    [InlineData(WordDistance.Euclidean)]
    [InlineData(WordDistance.Cosine)]
    public void Every_row_has_its_nearest_words(WordDistance distance)
    {
        using DplTransformer trained = Fit(keyLabel: true, o => o.Configuration = PromptConfiguration.Parse("text 2 0 | image 0 0 0"));
        IReadOnlyList<PromptRowWords> rows = trained.NearestWords(0, 5, distance);
        Assert.Equal([0, 1], rows.Select(r => r.Row));
        Assert.All(rows, row =>
        {
            Assert.Equal(5, row.Words.Count);
            Assert.Equal(row.Words.Select(w => w.Distance).Order(), row.Words.Select(w => w.Distance));
            Assert.All(row.Words, w => Assert.DoesNotContain("</w>", w.Word));
            Assert.Equal(5, row.Words.Distinct().Count());
        });
        Assert.Empty(trained.NearestWords(1, 5, distance));
        Assert.Equal(515, trained.NearestWords(0, 515, distance)[0].Words.Count);
        Assert.Contains("515", Assert.Throws<ArgumentOutOfRangeException>(() => trained.NearestWords(0, 516, distance)).Message);
        Assert.Contains("layers 0 to 1", Assert.Throws<ArgumentOutOfRangeException>(() => trained.NearestWords(2, 1, distance)).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => trained.NearestWords(0, 0, distance));
    }

    private IDataView Test => _mlContext.Data.LoadFromEnumerable(images.Test);

    private float[][] Scores(DplTransformer transformer) => [.. transformer.Transform(Test).GetColumn<float[]>("Score")];

    private DplTransformer Fit(bool keyLabel, Action<DplTrainer.Options>? change = null)
    {
        IDataView train = _mlContext.Data.LoadFromEnumerable(images.Train);
        if (keyLabel)
            train = _mlContext.Transforms.Conversion.MapValueToKey("Label").Fit(train).Transform(train);
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Configuration = PromptConfiguration.Uniform(small.Backbone, 1),
            Training =
            {
                Recipe = TrainingRecipe.Paper,
                Epochs = 1,
                BatchSize = 9,
            },
        };
        change?.Invoke(options);
        return _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options).Fit(train);
    }
}
