using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace PretrainTinyClip.Photographs;

/// <summary>
/// A worker's share of a training step: some of the batch's images and texts. The values of the parameters are shared with all workers, the
/// gradients are the worker's own. All methods are called on the worker's thread.
/// </summary>
internal sealed class StudentShare : IDisposable
{
    private readonly ContrastiveModel _model;
    private readonly StudentTower _tower;
    private readonly Distillation _distillation;
    private IDisposable? _scope;
    private StepResources? _resources;
    private Tensor? _distance;

    /// <param name="clip">The parameters, owned by this object.</param>
    /// <param name="distillation">The distances to the teacher, owned by this object.</param>
    /// <param name="products">Data type of the image tower's matrix products.</param>
    public StudentShare(LearnedClip clip, Distillation distillation, ScalarType products)
    {
        (Clip, _distillation) = (clip, distillation);
        _model = new ContrastiveModel(clip);
        _tower = new StudentTower(clip.Values, clip.Config, products);
    }

    public LearnedClip Clip { get; }

    /// <summary>All parameters of the share, which hold its gradients after <see cref="Backward"/>.</summary>
    public IEnumerable<KeyValuePair<string, Parameter>> Parameters => [.. Clip.Values, .. _distillation.Maps];

    /// <summary>Embeddings of the share's images, [images, embedding], not normalised; valid until <see cref="Free"/>.</summary>
    public Tensor Embeddings { get; private set; } = null!;

    /// <summary>Features of the share's texts, [texts, embedding], of unit length; valid until <see cref="Free"/>.</summary>
    public Tensor Texts { get; private set; } = null!;

    /// <summary>Means over the share's photographs of the cosine distances to the teacher's pooled features and map.</summary>
    public (double Pooled, double Cells) Distances { get; private set; }

    /// <summary>Computes the embeddings, text features and distances to the teacher.</summary>
    /// <param name="images">Creates the normalised images, photographs first, [images, 3, size, size].</param>
    /// <param name="kept">Indices of the patches to process, [images, patches].</param>
    /// <param name="photographs">The photographs with the teacher's features.</param>
    /// <param name="texts">Token ids of the share's texts.</param>
    /// <param name="weights">Weights of the distances in the loss.</param>
    public void Forward(
        Func<Tensor> images,
        long[] kept,
        PhotographBatch photographs,
        IReadOnlyList<int[]> texts,
        (double Pooled, double Cells) weights
    )
    {
        _scope = NewDisposeScope();
        _resources = new StepResources();
        Tensor pixels = images();
        Tensor places = tensor(kept, [pixels.shape[0], kept.Length / pixels.shape[0]]);
        bool isWhole = places.shape[1] == PhotographSettings.Patches;
        (Embeddings, Tensor patches) = _tower.Forward(pixels, isWhole ? null : places);
        int count = photographs.Classes.Length;
        Tensor seen = patches.narrow(0, 0, count);
        if (isWhole)
            seen = seen.gather(1, places.narrow(0, 0, count).unsqueeze(2).expand(-1, -1, seen.shape[2]));
        var (pooled, cells) = _distillation.Distances(Embeddings.narrow(0, 0, count), seen, photographs);
        Distances = (pooled.item<float>(), cells.item<float>());
        _distance = pooled.Times(weights.Pooled).Plus(cells.Times(weights.Cells));
        Texts = _model.UnitTexts(texts, _resources);
    }

    /// <summary>Computes the gradients of the parameters.</summary>
    /// <param name="embeddings">Gradient of the loss at <see cref="Embeddings"/>.</param>
    /// <param name="texts">Gradient of the loss at <see cref="Texts"/>.</param>
    public void Backward(Tensor embeddings, Tensor texts)
    {
        foreach (var (_, parameter) in Parameters)
            parameter.grad?.zero_();
        autograd.backward([Embeddings, Texts, _distance!], [embeddings, texts, ones_like(_distance!)]);
        _resources!.Backward.ThrowFailure();
    }

    /// <summary>Frees what the step has computed.</summary>
    public void Free()
    {
        _resources?.Dispose();
        _scope?.Dispose();
        (_resources, _scope, _distance) = (null, null, null);
    }

    public void Dispose()
    {
        Clip.Dispose();
        _distillation.Dispose();
    }
}
