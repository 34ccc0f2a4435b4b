using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>
/// The frozen CLIPs that regularisers compare to. Each computes its features once for every training image, prepared as for prediction, so
/// that a step needs no further forward pass. Owns the teachers.
/// </summary>
/// <param name="fit">Provides the images and CLIP.</param>
/// <param name="texts">Provides the class texts.</param>
/// <param name="observer">May cancel between batches.</param>
internal sealed class FitTeachers(PreparedFit fit, FitTexts texts, IRunObserver observer) : IDisposable
{
    private Teacher? _fromTexts;
    private Teacher? _own;
    private Teacher? _other;

    /// <summary>The teachers that an objective needs, created on first use; null if it needs none.</summary>
    /// <param name="objective">The objective of a stage; null: cross-entropy only.</param>
    /// <exception cref="OperationCanceledException">The observer cancelled the computation.</exception>
    public Teachers? For(ObjectiveSettings? objective)
    {
        if (objective is null or { IsPlain: true })
            return null;
        if (!objective.ComparesImages)
            return new Teachers(_fromTexts ??= FromTexts());
        if (fit.Settings.Design?.Teacher is not { } other)
            return new Teachers(_own ??= Own());
        return new Teachers(objective.FeaturesCompareImages ? _own ??= Own() : _fromTexts ??= FromTexts(), _other ??= Other(other));
    }

    public void Dispose()
    {
        _fromTexts?.Dispose();
        _own?.Dispose();
        _other?.Dispose();
    }

    /// <summary>A teacher with class features only, for regularisers that do not compare images.</summary>
    private Teacher FromTexts()
    {
        using var scope = NewDisposeScope();
        return Teacher.FromTable(texts.TeacherFeatures(), empty(0).DetachFromDisposeScope(), fit.Clip.Text.Weights.LogitScale);
    }

    private Teacher Own()
    {
        using var scope = NewDisposeScope();
        using var tower = new FoldedImageTower(fit.Clip.Image.Weights, new Tensor?[fit.Clip.Image.Weights.Blocks.Count]);
        Tensor table = Table(fit.Backbone, images => fit.Clip.ImageFeatures(tower, images));
        return Teacher.FromTable(texts.TeacherFeatures(), table.DetachFromDisposeScope(), fit.Clip.Text.Weights.LogitScale);
    }

    private Teacher Other(ClipBackbone backbone)
    {
        using IDisposable allThreads = NativeThreads.LiftLimit();
        using var scope = NewDisposeScope();
        using Lease<TextWeights> text = backbone.RentTextTower(fit.Device);
        using Lease<ImageWeights> image = backbone.RentImageTower(fit.Device);
        Tensor classes = TextEnsemble.UnitFeatures(
            new TextTower(text.Value),
            texts.ReadBy(backbone),
            normalizeEach: true,
            observer.ThrowIfCancelled
        );
        using var tower = new FoldedImageTower(image.Value, new Tensor?[image.Value.Blocks.Count]);
        Tensor table = Table(backbone, tower.Forward);
        return Teacher.FromTable(classes, table.DetachFromDisposeScope(), text.Value.LogitScale);
    }

    /// <summary>[images, embedding] of every cached image, resized and cropped as for prediction.</summary>
    private Tensor Table(ClipBackbone backbone, Func<Tensor, Tensor> features)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        FitImages images = fit.Images!;
        fit.Log.Info($"Teacher: {backbone.Name} processes {images.Cache.Count} images.");
        var batches = new TrainingBatches(
            images.Cache,
            images.Labels,
            [.. Enumerable.Range(0, images.Cache.Count)],
            fit.Settings.PredictionBatchSize,
            seed: 0,
            backbone.CreateImageProcessor(),
            augmentation: null,
            fit.Device
        );
        Tensor? table = null;
        for (int index = 0; index < batches.BatchesPerEpoch; index++)
        {
            observer.ThrowIfCancelled();
            using var each = NewDisposeScope();
            using ImageBatch batch = batches.Read(epoch: 0, index);
            Tensor values = features(batch.Images);
            table ??= empty([images.Cache.Count, values.shape[1]], ScalarType.Float32, device: fit.Device).MoveToOuterDisposeScope();
            Tensor rows = tensor([.. batch.SourceRows!.Select(row => (long)row)], ScalarType.Int64, device: fit.Device);
            table.index_copy_(0, rows, values);
        }
        return table!.MoveToOuterDisposeScope();
    }
}
