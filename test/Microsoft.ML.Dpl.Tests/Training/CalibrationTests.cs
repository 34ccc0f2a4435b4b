using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Training;

namespace Microsoft.ML.Dpl.Tests.Training;

/// <summary>Temperatures fitted to validation images after training.</summary>
public sealed class CalibrationTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new MLContext(1).Knowing(small.Backbone);

    /// <summary>With a factor of 2, −log of the softmax is log(1 + e^−1) for the first class.</summary>
    [Fact]
    public void Losses_are_those_computed_by_hand()
    {
        var row = new Calibration.Row([2, 0], Label: 0, Weight: 1);
        Assert.Equal(Math.Log(1 + Math.Exp(-1)), row.Loss(2), 1e-12);
        Assert.Equal(Math.Log(1 + Math.Exp(-1)) + 0.5, row.MeanLoss(2), 1e-12);
        // With one image, a third of the target is spread over all classes.
        Assert.Equal(2.0 / 3 * row.Loss(2) + 1.0 / 3 * row.MeanLoss(2), Calibration.SmoothedLoss([row], 2), 1e-12);
    }

    [Fact]
    public void A_calibrated_model_differs_in_its_logit_scale_alone_and_fits_the_validation_rows_better()
    {
        using DplTransformer plain = Fit(calibrate: false),
            calibrated = Fit(calibrate: true);
        ExportedPrompts before = plain.ExportPrompts(),
            after = calibrated.ExportPrompts();
        Assert.Equal(before.ClassFeatures, after.ClassFeatures);
        double factor = before.LogitScale!.Value / after.LogitScale!.Value;
        Assert.NotEqual(1, factor, 1e-3);
        float[][] scores = Scores(plain),
            cooled = Scores(calibrated);
        double Loss(float[][] of, double weight)
        {
            double wrong = weight / (of.Length + 2);
            return of.Zip(images.Test)
                .Average(pair =>
                {
                    double[] logs = [.. pair.First.Select(p => -Math.Log(p))];
                    return (1 - wrong) * logs[plain.ClassNames.ToList().IndexOf(pair.Second.Label)] + wrong * logs.Average();
                });
        }
        Assert.True(Loss(cooled, 1) < Loss(scores, 1), $"{Loss(cooled, 1)} after {Loss(scores, 1)}");
        foreach ((float[] one, float[] other) in scores.Zip(cooled))
        {
            Assert.Equal(Array.IndexOf(one, one.Max()), Array.IndexOf(other, other.Max()));
            // The softmax at another temperature is a normalised power of the probabilities.
            double[] powers = [.. one.Select(p => Math.Pow(p, 1 / factor))];
            for (int c = 0; c < 3; c++)
                Assert.Equal(powers[c] / powers.Sum(), other[c], 1e-4);
        }
    }

    /// <summary>The labels are drawn from the probabilities at temperature 3.</summary>
    [Fact]
    public void The_temperature_that_labels_were_drawn_with_is_found()
    {
        Random random = Seeds.Random(5, "calibration");
        var rows = new List<Calibration.Row>();
        for (int i = 0; i < 20_000; i++)
        {
            float[] logits = [.. Enumerable.Range(0, 4).Select(_ => (float)(random.NextDouble() * 20))];
            double[] odds = [.. logits.Select(logit => Math.Exp(logit / 3))];
            double drawn = random.NextDouble() * odds.Sum();
            int label = 0;
            while (label < 3 && (drawn -= odds[label]) > 0)
                label++;
            rows.Add(new Calibration.Row(logits, label, Weight: 1));
        }
        Assert.Equal(3, Calibration.BestFactor(rows), 0.1);
        foreach (double near in new[] { 0.95, 1.05 })
            Assert.True(
                Calibration.SmoothedLoss(rows, near * Calibration.BestFactor(rows))
                    > Calibration.SmoothedLoss(rows, Calibration.BestFactor(rows))
            );
    }

    [Fact]
    public void A_model_that_gets_all_right_is_not_made_certain()
    {
        Calibration.Row[] rows = [.. Enumerable.Range(0, 18).Select(i => new Calibration.Row([2, 0, 0], Label: 0, Weight: 1))];
        double factor = Calibration.BestFactor(rows),
            probability = Math.Exp(-rows[0].Loss(factor));
        // The target is that of 20 images, one of which belongs to all three classes equally.
        Assert.Equal(19.0 / 20 + 1.0 / 60, probability, 1e-3);
    }

    [Fact]
    public void Zip_and_exchanged_prompts_keep_the_calibration()
    {
        using DplTransformer calibrated = Fit(calibrate: true);
        using var zip = new MemoryStream();
        _mlContext.Model.Save(calibrated, Load().Schema, zip);
        zip.Position = 0;
        using var loaded = (DplTransformer)new MLContext().Model.Load(zip, out _);
        using DplTransformer exchanged = _mlContext.DifferentiablePromptModel(calibrated.ExportPrompts(), small.Backbone, "ImagePath");
        Assert.Equal(Scores(calibrated), Scores(loaded));
        Assert.Equal(Scores(calibrated), Scores(exchanged));
    }

    [Fact]
    public void Rows_that_were_trained_on_or_are_not_there_are_refused()
    {
        Refused(o => o.Validation.Refit = true, "Validation.Refit");
        Refused(
            o =>
            {
                o.Validation.Set = null;
                o.Configuration = PromptConfiguration.Uniform(small.Backbone, 1);
            },
            "needs validation rows"
        );

        void Refused(Action<DplTrainer.Options> change, string part)
        {
            var options = new DplTrainer.Options { Backbone = small.Backbone, Validation = { Set = Load(), Calibrate = true } };
            change(options);
            Assert.Contains(
                part,
                Assert
                    .ThrowsAny<ArgumentException>(() => _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options))
                    .Message
            );
        }
    }

    private float[][] Scores(DplTransformer model) => [.. model.Transform(Load()).GetColumn<float[]>("Score")];

    private IDataView Load() => _mlContext.Data.LoadFromEnumerable(images.Test);

    private DplTransformer Fit(bool calibrate) =>
        _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(
                new DplTrainer.Options
                {
                    Backbone = small.Backbone,
                    ImageColumnName = "ImagePath",
                    Configuration = PromptConfiguration.Uniform(small.Backbone, 1),
                    Training = { Epochs = 2, BatchSize = 9 },
                    Validation = { Set = Load(), Calibrate = calibrate },
                }
            )
            .Fit(_mlContext.Data.LoadFromEnumerable(images.Train));
}
