using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Prompts;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>What a fit found. The caller owns the prompts.</summary>
internal sealed record FitResult(LabelClasses Classes, ModelDescription Description, TrainedPrompts Prompts);

/// <summary>One fit: pictures in, search unless the lengths are given, training, prompts out.</summary>
internal sealed class FitRun(ClipBackbone backbone, FitSettings settings, Device device, IRunObserver observer, HostLog log)
{
    public FitResult Run(FitData data)
    {
        var reader = new FitPictureReader(data, settings, backbone.CreateImageProcessor(), log, observer.ThrowIfCancelled);
        LabelClasses classes = reader.ReadClasses();
        // Hashed first: weights that changed on disk are known before the training, not after it.
        var reference = new BackboneReference(backbone.Name, backbone.Sha256, backbone.Location, backbone.IsOpenAILayout ? backbone.VocabularyPath : null);
        int[][] texts = Tokenize(classes);
        bool isZeroShot = settings.Search is null && settings.TextLengths!.Concat(settings.ImageLengths!).All(length => length == 0);

        // Zero-shot CLIP learns nothing from the training pictures: only validation pictures are looked at.
        using FitPictures? pictures = isZeroShot ? null : reader.Read(classes);
        PreparedImages? validation = isZeroShot ? reader.ReadValidation(classes) : pictures!.Validation;

        using Lease<VisionWeights> vision = backbone.RentVision(device);
        using Lease<TextWeights> text = backbone.RentText(device);
        using var imageTower = new ImageTower(vision.Value);
        using var classTexts = new ClassTexts(texts, text.Value);
        using ClipParts? parts = ClipParts.Create(vision.Value, text.Value, texts, settings.BatchSize);
        var clip = new PromptedClip(imageTower, new TextTower(text.Value), classTexts, parts);
        SearchResult? search = settings.Search is { } searchSettings ? Search(clip, searchSettings, pictures!) : null;
        return Train(clip, classes, reference, search, pictures, validation);
    }

    private SearchResult Search(PromptedClip clip, SearchSettings search, FitPictures pictures)
    {
        using Generator imageGenerator = Seeds.Generator(settings.Seed, "search image"), textGenerator = Seeds.Generator(settings.Seed, "search text");
        ClipConfig config = backbone.Config;
        using var supernet = new Supernet(
            SupernetBranch.Create(search.Candidates, config.Vision.Layers, config.Vision.Width, PromptDistribution.Normal(1), imageGenerator, device),
            SupernetBranch.Create(search.Candidates, config.Text.Layers, config.Text.Width, PromptDistribution.Uniform, textGenerator, device));
        using TrainFeed train = Feed(pictures, "search batches");
        IBatchSource validation = pictures.Validation!.Shuffled(settings.BatchSize, settings.Seed, device);
        SearchResult result = new BilevelSearch(clip, search, observer).Run(supernet, train.Source, validation);
        log.Info($"Search: text {string.Join(' ', result.TextLengths)} | image {string.Join(' ', result.ImageLengths)}.");
        return result;
    }

    private FitResult Train(PromptedClip clip, LabelClasses classes, BackboneReference reference, SearchResult? search, FitPictures? pictures, PreparedImages? validation)
    {
        IReadOnlyList<int> imageLengths = search?.ImageLengths ?? settings.ImageLengths!, textLengths = search?.TextLengths ?? settings.TextLengths!;
        using Generator imageGenerator = Seeds.Generator(settings.Seed, "training image"), textGenerator = Seeds.Generator(settings.Seed, "training text");
        PromptDistribution initial = PromptDistribution.Normal(settings.Training.InitialDeviation);
        using FixedBranch image = FixedBranch.Create(imageLengths, backbone.Config.Vision.Width, initial, imageGenerator, device);
        using FixedBranch text = FixedBranch.Create(textLengths, backbone.Config.Text.Width, initial, textGenerator, device);

        using TrainFeed? train = pictures is null ? null : Feed(pictures, "training batches");
        double? accuracy = new PromptTraining(clip, settings.Training, observer)
            .Run(image, text, train?.Source, validation?.InOrder(settings.PredictionBatchSize, device));
        if (accuracy is double value) log.Info(FormattableString.Invariant($"Training: validation accuracy {value:p1}."));

        using Tensor classFeatures = clip.ClassFeatures(text);
        var prompts = new TrainedPrompts([.. image.Rows.Select(Kept)], [.. text.Rows.Select(Kept)], Kept(classFeatures)!, clip.Text.Weights.LogitScale);
        return new FitResult(classes, new ModelDescription(reference, settings.Template, [.. textLengths], [.. imageLengths], accuracy, search), prompts);
    }

    private TrainFeed Feed(FitPictures pictures, string purpose)
    {
        ClipImageProcessor processor = backbone.CreateImageProcessor();
        var batches = new TrainingBatches(
            pictures.Train, pictures.TrainLabels, [.. Enumerable.Range(0, pictures.Train.Count)], settings.BatchSize,
            unchecked((int)Seeds.Derive(settings.Seed, purpose)), processor, settings.Augment ? new TrainingAugmentation(processor.ImageSize) : null, device);
        // On the CPU a second computing thread takes more from the step than a batch made ahead gives (100 against 40 ms a step, two cores).
        ReadAheadBatches? ahead = device.type == DeviceType.CUDA ? new ReadAheadBatches(batches) : null;
        return new TrainFeed(ahead ?? (IBatchSource)batches, ahead);
    }

    private int[][] Tokenize(LabelClasses classes)
    {
        ClipTokenizer tokenizer = backbone.CreateTokenizer();
        var texts = new int[classes.Count][];
        for (int i = 0; i < texts.Length; i++)
        {
            string text = settings.Template.Replace("{}", classes.Names[i].Replace('_', ' '), StringComparison.Ordinal);
            texts[i] = tokenizer.Encode(text, backbone.Config.ContextLength, out bool truncated);
            if (truncated) log.Warning($"The text of class '{classes.Names[i]}' is longer than CLIP's {backbone.Config.ContextLength} tokens and was cut.");
        }
        foreach (var same in Enumerable.Range(0, texts.Length).GroupBy(i => string.Join(' ', texts[i])).Where(group => group.Count() > 1))
            log.Warning($"CLIP reads the same text for the classes {string.Join(", ", same.Select(i => $"'{classes.Names[i]}'"))} and cannot tell them apart.");
        return texts;
    }

    /// <summary>A copy on the CPU that no dispose scope owns.</summary>
    private static Tensor? Kept(Tensor? values)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return values?.detach().cpu().clone().DetachFromDisposeScope();
    }

    private sealed record TrainFeed(IBatchSource Source, IDisposable? Owned) : IDisposable
    {
        public void Dispose() => Owned?.Dispose();
    }
}
