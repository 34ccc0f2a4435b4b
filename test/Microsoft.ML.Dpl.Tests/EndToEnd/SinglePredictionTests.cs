using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Predictions for one image without a data view, loading a zip as its actual model type, and images that belong to none of the
/// classes.</summary>
public sealed class SinglePredictionTests(SmallBackbone small, ColourImages images)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new MLContext(1).Knowing(small.Backbone);

    [Fact]
    public void A_path_and_an_image_get_the_scores_of_an_engine()
    {
        using DplTransformer model = Fit();
        using PredictionEngine<LabelledImage, Answer> engine = _mlContext.Model.CreatePredictionEngine<LabelledImage, Answer>(model);
        foreach (LabelledImage row in images.Test)
        {
            ImagePrediction byPath = model.Predict(row.ImagePath);
            using MLImage image = MLImage.CreateFromFile(row.ImagePath);
            ImagePrediction byImage = model.Predict(image);
            Answer answer = engine.Predict(row);
            Assert.Equal(answer.Score, byPath.Scores);
            Assert.Equal(answer.Score, byImage.Scores);
            Assert.Equal(answer.PredictedLabel, byPath.Label);
            Assert.Equal(answer.Score.Max(), byPath.Probability);
            Assert.Equal(answer.Score[1], byPath[model.ClassNames[1]]);
            Assert.Equal(
                model.ClassNames.Zip(answer.Score).OrderByDescending(pair => pair.Second).Take(2),
                byPath.Best(2).Select(pair => (pair.Label, pair.Probability))
            );
            Assert.StartsWith(byPath.Label!, byPath.ToString());
        }
        ImagePrediction some = model.Predict(images.Test[0].ImagePath);
        Assert.Equal(3, some.Best(99).Count);
        Assert.Throws<ArgumentOutOfRangeException>(() => some.Best(0));
        Assert.Contains("'violet'", Assert.Throws<ArgumentException>(() => some["violet"]).Message);
        Assert.Throws<FileNotFoundException>(() => model.Predict("nowhere.png"));
    }

    [Fact]
    public void Many_threads_get_the_bits_of_one_and_a_dispose_is_told()
    {
        DplTransformer model = Fit();
        float[][] expected = [.. images.Test.Select(row => model.Predict(row.ImagePath).Scores.ToArray())];
        Parallel.For(0, 8 * expected.Length, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
            Assert.Equal(expected[i % expected.Length], model.Predict(images.Test[i % expected.Length].ImagePath).Scores)
        );
        model.Dispose();
        Assert.Throws<ObjectDisposedException>(() => model.Predict(images.Test[0].ImagePath));
    }

    [Fact]
    public void A_zip_gives_its_model_alone_and_out_of_a_pipeline()
    {
        using var folder = new TemporaryFolder();
        using DplTransformer model = Fit();
        float[] expected = [.. model.Predict(images.Test[0].ImagePath).Scores];
        ITransformer copy = _mlContext.Transforms.CopyColumns("Copy", "Label").Fit(Data());
        foreach (ITransformer saved in new ITransformer[] { model, copy.Append(model) })
        {
            _mlContext.Model.SaveWhole(saved, Data().Schema, folder.File("model.zip"));
            using DplTransformer loaded = new MLContext().Model.LoadDpl(folder.File("model.zip"));
            Assert.Equal(expected, loaded.Predict(images.Test[0].ImagePath).Scores);
        }

        _mlContext.Model.SaveWhole(copy, Data().Schema, folder.File("other.zip"));
        _mlContext.Model.SaveWhole(model.Append(model), Data().Schema, folder.File("two.zip"));
        File.WriteAllText(folder.File("notes.zip"), "no zip");
        Refused<InvalidDataException>("other.zip", "holds no model of Differentiable Prompt Learning");
        Refused<InvalidDataException>("two.zip", "holds 2 models");
        Refused<InvalidDataException>("notes.zip", "cannot be loaded");
        Refused<FileNotFoundException>("nowhere.zip", "There is no model zip");

        void Refused<T>(string name, string part)
            where T : Exception
        {
            string message = Assert.Throws<T>(() => new MLContext().Model.LoadDpl(folder.File(name))).Message;
            Assert.Contains(part, message);
            Assert.Contains(name, message);
        }
    }

    [Fact]
    public void Saving_says_where_a_zip_only_names_its_CLIP()
    {
        using var folder = new TemporaryFolder();
        var told = new List<string>();
        _mlContext.Log += (_, e) => told.Add(e.RawMessage);
        using DplTransformer model = Fit();
        told.Clear();
        _mlContext.Model.SaveWhole(model, Data().Schema, folder.File("model.zip"));
        Assert.Single(told, line => line.Contains($"names the CLIP at '{small.Backbone.Location}'", StringComparison.Ordinal));
        told.Clear();
        model.Contents = ModelContents.WithImageTower;
        _mlContext.Model.SaveWhole(model, Data().Schema, folder.File("model.zip"));
        Assert.DoesNotContain(told, line => line.Contains("names the CLIP", StringComparison.Ordinal));
        // A zip that lacks a CLIP from another zip is the one that cannot be loaded anywhere.
        model.Contents = ModelContents.WithClip;
        _mlContext.Model.SaveWhole(model, Data().Schema, folder.File("whole.zip"));
        using DplTransformer carried = _mlContext.Model.LoadDpl(folder.File("whole.zip"));
        carried.Contents = ModelContents.PromptsOnly;
        told.Clear();
        _mlContext.Model.SaveWhole(carried, Data().Schema, folder.File("model.zip"));
        Assert.Single(told, line => line.Contains("does not contain its CLIP, which came in another model zip", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Below_the_threshold_no_class_is_predicted_also_from_the_zip(bool keyLabel)
    {
        using DplTransformer model = Fit(keyLabel);
        IDataView data = Data(keyLabel);
        float[][] scores = Scores(model.Transform(data));
        float[] sorted = [.. scores.Select(row => row.Max()).Order()];
        // Between the scores of two images, so that some are above the threshold and some below.
        double threshold = (sorted[7] + (double)sorted[8]) / 2;
        string[] before = Labels(model.Transform(data));
        IDataView made = model.Transform(data);
        model.Threshold = threshold;
        Assert.Equal(before, Labels(made));
        Check(model);
        using var zip = new MemoryStream();
        _mlContext.Model.Save(model, data.Schema, zip);
        // A reader that does not know thresholds would predict differently, so the format version rises.
        Assert.Equal((6, 6), Fuzzing.ZipBytes.FormatVersions(zip.ToArray()));
        using (var folder = new TemporaryFolder())
        {
            File.WriteAllBytes(folder.File("model.zip"), zip.ToArray());
            Assert.Equal(threshold, ModelInfo.Read(folder.File("model.zip")).Threshold);
        }
        zip.Position = 0;
        using var loaded = (DplTransformer)new MLContext().Model.Load(zip, out _);
        Assert.Equal(threshold, loaded.Threshold);
        Check(loaded);
        model.Threshold = null;
        Assert.Equal(before, Labels(model.Transform(data)));
        foreach (double wrong in new[] { 0, -1, 1.1, double.NaN })
            Assert.Throws<ArgumentOutOfRangeException>(() => model.Threshold = wrong);

        void Check(DplTransformer transformer)
        {
            IDataView scored = transformer.Transform(data);
            Assert.Equal(scores, Scores(scored));
            string[] labels = Labels(scored);
            Assert.Equal(before.Select((label, row) => scores[row].Max() < threshold ? "" : label), labels);
            Assert.Contains("", labels);
            Assert.Contains(labels, label => label.Length > 0);
            for (int row = 0; row < labels.Length; row++)
            {
                ImagePrediction one = transformer.Predict(images.Test[row].ImagePath);
                Assert.Equal(one.Probability < threshold, one.Label is null);
            }
        }
    }

    private static float[][] Scores(IDataView scored) => [.. scored.GetColumn<float[]>("Score")];

    /// <summary>The predicted labels, keys converted to text; a missing key becomes an empty text.</summary>
    private string[] Labels(IDataView scored) =>
        scored.Schema["PredictedLabel"].Type is KeyDataViewType
            ?
            [
                .. _mlContext
                    .Transforms.Conversion.MapKeyToValue("PredictedLabel")
                    .Fit(scored)
                    .Transform(scored)
                    .GetColumn<string>("PredictedLabel"),
            ]
            : [.. scored.GetColumn<string>("PredictedLabel")];

    private IDataView Data(bool keyLabel = false)
    {
        IDataView data = _mlContext.Data.LoadFromEnumerable(images.Test);
        return keyLabel ? _mlContext.Transforms.Conversion.MapValueToKey("Label").Fit(data).Transform(data) : data;
    }

    private DplTransformer Fit(bool keyLabel = false) =>
        _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(
                new DplTrainer.Options
                {
                    Backbone = small.Backbone,
                    ImageColumnName = "ImagePath",
                    Configuration = PromptConfiguration.Uniform(small.Backbone, 1),
                    Training = { Epochs = 1, BatchSize = 9 },
                    // With batches of one image the results are bit-identical to single predictions.
                    Compute = { PredictionBatchSize = 1 },
                }
            )
            .Fit(Data(keyLabel));

    private sealed class Answer
    {
        public string PredictedLabel { get; set; } = "";

        public float[] Score { get; set; } = [];
    }
}
