using Drawing.Tasks;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Fit;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Tests.Fit;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Fits with reduced precision in their steps' matrix products.</summary>
public sealed class PrecisionTests(SmallBackbone small, ColourImages images) : ColourFits(small, images)
{
    [Fact]
    public void A_bfloat16_fit_is_another_one_with_the_same_bits_every_time_and_saves_an_ordinary_model()
    {
        string Content(ComputePrecision precision)
        {
            DplTrainer.Options options = ResumableFit.Options(Small.Backbone, workspace: null);
            options.Compute.Precision = precision;
            using DplTransformer transformer = ResumableFit.Fit(MLContext, options, Images.Train);
            // The saved model gives the same scores as the fitted one: the precision does not affect predictions.
            using var zip = new MemoryStream();
            IDataView test = View(Images.Test);
            MLContext.Model.Save(transformer, test.Schema, zip);
            using var loaded = (DplTransformer)MLContext.Model.Load(zip, out _);
            Assert.Equal(Scores(transformer), Scores(loaded));
            return ResumableFit.Content(MLContext, transformer);
        }
        string rounded = Content(ComputePrecision.BFloat16);
        Assert.Equal(rounded, Content(ComputePrecision.BFloat16));
        string exact = Content(ComputePrecision.Float32);
        Assert.NotEqual(rounded, exact);
        // On the CPU TensorFloat32 is the same as Float32.
        Assert.Equal(exact, Content(ComputePrecision.TensorFloat32));
    }

    [Fact]
    public void A_checkpoint_of_another_precision_is_refused_by_name()
    {
        using var folder = new TemporaryFolder();
        using var source = new CancellationTokenSource();
        DplTrainer.Options Options(ComputePrecision precision)
        {
            DplTrainer.Options options = ResumableFit.Options(Small.Backbone, folder.File("workspace"));
            options.Compute.Precision = precision;
            return options;
        }
        DplTrainer.Options first = Options(ComputePrecision.BFloat16);
        (first.CancellationToken, first.Progress) = (source.Token, new ProgressRecorder(report => source.Cancel()));
        Assert.Throws<OperationCanceledException>(() => ResumableFit.Fit(MLContext, first, Images.Train));
        var e = Assert.Throws<InvalidOperationException>(() =>
            ResumableFit.Fit(MLContext, Options(ComputePrecision.Float32), Images.Train)
        );
        Assert.Contains("Compute.Precision was \"BFloat16\" and is nothing", e.Message);
        ResumableFit.Fit(MLContext, Options(ComputePrecision.BFloat16), Images.Train).Dispose();
    }

    [Theory]
    [InlineData(ComputePrecision.Float32, true, false, null)]
    [InlineData(ComputePrecision.TensorFloat32, true, true, "products stay in float32")]
    [InlineData(ComputePrecision.TensorFloat32, false, true, null)]
    [InlineData(ComputePrecision.BFloat16, true, false, "neither AMX nor AVX512-BF16")]
    [InlineData(ComputePrecision.BFloat16, true, true, null)]
    [InlineData(ComputePrecision.BFloat16, true, null, null)]
    [InlineData(ComputePrecision.BFloat16, false, false, null)]
    public void A_precision_that_does_not_pay_is_warned_of(
        ComputePrecision precision,
        bool onCpu,
        bool? multipliesBFloat16,
        string? expected
    )
    {
        using (var log = new HostLog(MLContext, nameof(DplTrainer), "Fit"))
            new FitAdvice(
                new DplTrainer.Options { Backbone = Small.Backbone, Compute = { Precision = precision } }.ToSettings(seed: 0),
                log
            ).CheckPrecision(onCpu, multipliesBFloat16);
        if (expected is null)
            Assert.Empty(Warnings);
        else
            Assert.Contains(expected, Assert.Single(Warnings));
    }

    /// <summary>The embedded CLIP learns as much with bfloat16 as with float32, as far as 240 images can tell.</summary>
    [Fact]
    [Trait("Category", "Slow")]
    public void Bfloat16_teaches_the_embedded_clip_as_much_as_float32()
    {
        using var folder = new TemporaryFolder();
        DrawnTask task = DrawnTasks.Named("lighting");
        DrawnTaskFiles.Write(task, folder.FullPath, trainPerClass: 16, validationPerClass: 4, testPerClass: 24, seed: 7);
        IDataView Read(string name) =>
            MLContext.Data.LoadFromTextFile(
                folder.File(name),
                [new TextLoader.Column("ImagePath", DataKind.String, 0), new TextLoader.Column("Label", DataKind.String, 1)],
                hasHeader: true
            );
        IDataView train = Read("train.tsv"),
            test = Read("test.tsv");
        string[] labels = [.. test.GetColumn<string>("Label")];
        double Accuracy(ComputePrecision precision, int trainingEpochs)
        {
            using DplTransformer transformer = MLContext
                .MulticlassClassification.Trainers.DifferentiablePromptLearning(
                    new DplTrainer.Options
                    {
                        Backbone = ClipBackbone.TinyDrawn,
                        ImageColumnName = "ImagePath",
                        Images = { Folder = folder.FullPath },
                        Template = task.Template,
                        Validation = { Set = Read("validation.tsv") },
                        Training = { BatchSize = 16, Epochs = Math.Max(trainingEpochs, 1) },
                        Configuration = PromptConfiguration.Uniform(ClipBackbone.TinyDrawn, trainingEpochs == 0 ? 0 : 4),
                        Compute = { Precision = precision },
                    }
                )
                .Fit(train);
            return transformer
                .Transform(test)
                .GetColumn<string>("PredictedLabel")
                .Zip(labels)
                .Average(pair => pair.First == pair.Second ? 1.0 : 0);
        }
        double zeroShot = Accuracy(ComputePrecision.Float32, 0),
            exact = Accuracy(ComputePrecision.Float32, 20),
            rounded = Accuracy(ComputePrecision.BFloat16, 20);
        string all = $"zero-shot {zeroShot:p1}, float32 {exact:p1}, bfloat16 {rounded:p1}";
        double Error(double other) => Math.Sqrt((rounded * (1 - rounded) + other * (1 - other)) / labels.Length);
        Assert.True(rounded > zeroShot + 2 * Error(zeroShot), all);
        Assert.True(Math.Abs(rounded - exact) <= 3 * Error(exact), all);
    }
}
