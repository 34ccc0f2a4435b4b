using System.Collections.Concurrent;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Fits that run but are hardly what was meant say so in the log, and others say nothing.</summary>
public sealed class FitAdviceTests : IClassFixture<SmallBackbone>, IClassFixture<ColourPictures>
{
    private readonly MLContext _mlContext = new(1);
    private readonly ConcurrentQueue<string> _warnings = new();
    private readonly SmallBackbone _small;
    private readonly ColourPictures _pictures;

    public FitAdviceTests(SmallBackbone small, ColourPictures pictures)
    {
        (_small, _pictures) = (small, pictures);
        _mlContext.Log += (_, e) =>
        {
            if (e.Kind == ChannelMessageKind.Warning) _warnings.Enqueue(e.Message);
        };
    }

    [Fact]
    public void An_ordinary_fit_is_not_warned_of()
    {
        Fit(_ => { }).Dispose();
        Fit(o => (o.Configuration, o.ValidationSet) = (PromptConfiguration.Uniform(_small.Backbone, 1), View(_pictures.Test))).Dispose();
        Fit(o => (o.Configuration, o.TrainingEpochs, o.SearchEpochs) = (PromptConfiguration.ZeroShot(_small.Backbone), 1, 1)).Dispose();
        Assert.Empty(_warnings);
    }

    [Fact]
    public void A_single_epoch_is_all_warm_up()
    {
        Fit(o => (o.SearchEpochs, o.TrainingEpochs) = (1, 1)).Dispose();
        Assert.Single(_warnings, line => line.Contains("SearchEpochs is 1, and the first epoch is a warm-up at a learning rate of 1e-05", StringComparison.Ordinal));
        Assert.Single(_warnings, line => line.Contains("TrainingEpochs is 1", StringComparison.Ordinal));
    }

    [Fact]
    public void A_patience_that_cannot_end_anything_is_told()
    {
        Fit(o => (o.SearchPatience, o.TrainingPatience) = (3, 2)).Dispose();
        Assert.Contains("SearchPatience is 3, which cannot end 3 epochs early: lower it, or set SearchEpochs to 5 or more", Assert.Single(_warnings, line => line.Contains("SearchPatience", StringComparison.Ordinal)));
        Assert.Contains("TrainingPatience is 2, which cannot end 3 epochs early", Assert.Single(_warnings, line => line.Contains("TrainingPatience", StringComparison.Ordinal)));
        Fit(o => (o.SearchPatience, o.TrainingPatience) = (1, 1)).Dispose();
        Assert.Equal(2, _warnings.Count);
    }

    [Fact]
    public void A_class_that_outweighs_the_others_is_named_unless_weights_balance_it()
    {
        LabelledPicture[] red = [.. _pictures.Train.Where(p => p.Label == "red")];
        LabelledPicture[] rows = [.. Enumerable.Repeat(red, 7).SelectMany(p => p).Select(Fresh), .. _pictures.Train.Where(p => p.Label != "red" && p.Other < 2)];
        void Given(DplTrainer.Options o) => (o.Configuration, o.ImageColumnName, o.BatchSize) = (PromptConfiguration.Uniform(_small.Backbone, 1), "ImageBytes", 23);
        Fit(Given, rows).Dispose();
        Assert.Contains("Class 'red' makes up 91 % of the training rows, and the other classes' rows hardly count: set ClassWeights to Balanced", Assert.Single(_warnings));
        Fit(
            o =>
            {
                Given(o);
                o.ClassWeights = DplClassWeights.Balanced;
            },
            rows).Dispose();
        Assert.Single(_warnings);
    }

    [Fact]
    public void Files_that_are_trained_on_and_validated_on_are_told()
    {
        Fit(o => (o.Configuration, o.ValidationSet) = (PromptConfiguration.Uniform(_small.Backbone, 1), View([.. _pictures.Test, _pictures.Train[2], _pictures.Train[5]]))).Dispose();
        Assert.Contains($"Training data and validation set share files: 2 of 17 validation pictures are trained on too (the first: row 15 ('{_pictures.Train[2].ImagePath}'))", Assert.Single(_warnings));
        _warnings.Clear();
        Fit(_ => { }, [.. _pictures.Train, .. _pictures.Train]).Dispose();
        Assert.Contains("Training rows repeat files", Assert.Single(_warnings));
    }

    private static LabelledPicture Fresh(LabelledPicture p) => new() { ImagePath = p.ImagePath, ImageBytes = p.ImageBytes, Label = p.Label };

    private IDataView View(IEnumerable<LabelledPicture> rows) => _mlContext.Data.LoadFromEnumerable(rows);

    private DplTransformer Fit(Action<DplTrainer.Options> change, IReadOnlyList<LabelledPicture>? rows = null)
    {
        var options = new DplTrainer.Options
        {
            Backbone = _small.Backbone,
            ImageColumnName = "ImagePath",
            CandidateLengths = [0, 1],
            SearchEpochs = 3,
            TrainingEpochs = 3,
            BatchSize = 6,
        };
        change(options);
        return _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options).Fit(View(rows ?? _pictures.Train));
    }
}
