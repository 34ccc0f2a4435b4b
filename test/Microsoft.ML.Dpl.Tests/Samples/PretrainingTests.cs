using Drawing;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using PretrainTinyClip;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Samples;

[Collection(RunsAlone.Name)]
public sealed class PretrainingTests : IDisposable
{
    private static readonly PretrainSettings Small = new(
        ImageSize: 32,
        PatchSize: 8,
        Width: 64,
        Layers: 1,
        TextWidth: 64,
        TextLayers: 1,
        EmbeddingWidth: 32,
        Batch: 32,
        LearningRate: 1e-3,
        Steps: 6
    );

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dpl-pretraining-");
    private readonly int _threads = get_num_threads();

    // OpenMP's threads would busy-wait on the core that draws the images.
    public PretrainingTests() => set_num_threads(1);

    public void Dispose()
    {
        set_num_threads(_threads);
        _folder.Delete(recursive: true);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void A_short_run_lowers_the_loss_and_beats_chance()
    {
        using Pretraining training = Begin(Small with { Steps = 400, Batch = 48 });
        IReadOnlyList<PretrainReport> reports = Run(training, reportEvery: 50);
        Assert.True(reports[^1].Loss < reports[0].Loss - 0.3, $"{reports[0].Loss} to {reports[^1].Loss}");
        // The loss of guessing: among 48 captions, and among all names for each question.
        double guessing = new[] { 48, Words.Shapes.Count, Words.Colours.Count, Words.Textures.Count }.Sum(n => Math.Log(n));
        Assert.True(reports[^1].Loss < guessing - 0.3, $"{reports[^1].Loss}, {guessing} by guessing");

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var resources = new StepResources();
        using var heldOut = new CaptionedBatches(
            ZeroShotEvaluation.HeldOut(Small.Seed),
            training.Tokenizer,
            training.Clip.Config,
            500,
            firstBatch: 0,
            Small.Seed
        );
        CaptionedBatch batch = heldOut.Next(CancellationToken.None);
        Tensor similarities = training
            .Model.UnitImages(batch.Planes, batch.Count, resources)
            .matmul(training.Model.UnitTexts(batch.Texts, resources).t());
        Tensor truth = tensor(batch.Truth, [batch.Count, batch.Texts.Count]);
        float right = truth.gather(1, similarities.argmax(1, keepdim: true)).mean().item<float>(),
            chance = truth.mean().item<float>();
        Assert.True(right > 2 * chance, $"{right} of the captions chosen are true, {chance} of all");
    }

    [Fact]
    public void A_run_that_is_resumed_ends_like_one_that_is_not()
    {
        using Pretraining whole = Begin(Small);
        Run(whole, reportEvery: 1);

        string checkpoint = Path.Combine(_folder.FullName, "run.checkpoint");
        using (Pretraining firstHalf = Begin(Small))
        {
            using var stop = new CancellationTokenSource();
            firstHalf.Run(
                report =>
                {
                    if (report.Step == 3)
                        stop.Cancel();
                },
                1,
                () => { },
                TimeSpan.MaxValue,
                stop.Token
            );
            Assert.Equal(3, firstHalf.Position.Step);
            firstHalf.Save(checkpoint);
        }
        using Pretraining secondHalf = Begin(Small);
        secondHalf.Resume(checkpoint);
        Assert.Equal(3, secondHalf.Position.Step);
        Run(secondHalf, reportEvery: 1);
        using var scope = NewDisposeScope();
        foreach (var (name, value) in whole.Clip.Values)
            Assert.True(value.allclose(secondHalf.Clip.Values[name], 1e-4, 1e-6), name);
    }

    [Fact]
    public void A_checkpoint_of_another_shape_is_refused()
    {
        string checkpoint = Path.Combine(_folder.FullName, "run.checkpoint");
        using (Pretraining training = Begin(Small))
            training.Save(checkpoint);
        using Pretraining wider = Begin(Small with { Width = 128 });
        var refused = Assert.Throws<InvalidDataException>(() => wider.Resume(checkpoint));
        Assert.Contains("different shape", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_saved_folder_opens_and_computes_what_was_trained()
    {
        using Pretraining training = Begin(Small);
        Run(training, reportEvery: 6);
        training.Save(checkpoint: null);
        ClipBackbone backbone = ClipBackbone.FromFolder(_folder.FullName);
        Assert.Equal(training.Clip.Config, backbone.Config);

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var resources = new StepResources();
        using Lease<ImageWeights> vision = backbone.RentImageTower(CPU);
        using var tower = new ImageTower(vision.Value);
        byte[] planes = [.. Enumerable.Range(0, 3 * 32 * 32).Select(i => (byte)(i * 37))];
        Tensor pixels = tensor(planes, [1, 3, 32, 32]).to(ScalarType.Float32).div_(255);
        ClipImageProcessorConfig processor = ClipImageProcessorConfig.Default(32);
        pixels = (pixels - tensor(processor.Mean, [3, 1, 1])) / tensor(processor.Deviation, [3, 1, 1]);
        Tensor saved = PromptedClip.UnitRows(tower.Forward(pixels, new PlainBranch(1).Layers(), resources.Backward));
        Tensor trained = training.Model.UnitImages(planes, 1, resources);
        Assert.True((saved * trained).sum().item<float>() > 0.9999f);
        Assert.Equal(
            training.Evaluate(64).Select(r => r.Task),
            SavedClip.Evaluate(_folder.FullName, Small.Seed, 64, CPU).Select(r => r.Task)
        );
    }

    [Theory]
    [InlineData(100, 8, 48, "multiples of 64")]
    [InlineData(128, 7, 48, "choose a multiple")]
    public void Shapes_that_do_not_fit_are_refused(int width, int patch, int size, string reason)
    {
        var settings = new PretrainSettings(ImageSize: size, PatchSize: patch, Width: width);
        Assert.Contains(reason, Assert.Throws<ArgumentException>(() => settings.Shape(1000, 999)).Message, StringComparison.Ordinal);
    }

    private Pretraining Begin(PretrainSettings settings) => new(settings, _folder.FullName, CPU);

    private static List<PretrainReport> Run(Pretraining training, int reportEvery)
    {
        var reports = new List<PretrainReport>();
        training.Run(reports.Add, reportEvery, () => { }, TimeSpan.MaxValue, CancellationToken.None);
        return reports;
    }
}
