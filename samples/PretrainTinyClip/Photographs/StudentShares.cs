using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace PretrainTinyClip.Photographs;

/// <summary>
/// Divides the images and texts of a training step among workers, each of which computes its share from end to end on one thread, and puts
/// their results together in the order of the batch. Losses that depend on the whole batch are computed between
/// <see cref="Forward"/> and <see cref="Backward"/> by the caller.
/// </summary>
internal sealed class StudentShares : IDisposable
{
    private const int Planes = 3 * PhotographSettings.ImageSize * PhotographSettings.ImageSize;

    private readonly StudentShare[] _shares;
    private int _photographs,
        _drawings,
        _texts;

    /// <param name="clip">The trained parameters, owned by the caller.</param>
    /// <param name="distillation">The distances to the teacher, owned by the caller.</param>
    /// <param name="products">Data type of the image tower's matrix products.</param>
    /// <param name="workers">Number of workers, at least 1.</param>
    public StudentShares(LearnedClip clip, Distillation distillation, ScalarType products, int workers)
    {
        Team = new WorkerTeam(workers, Math.Max(1, get_num_threads() / workers));
        _shares = [.. Enumerable.Range(0, workers).Select(_ => new StudentShare(clip.Replica(), distillation.Replica(), products))];
    }

    public WorkerTeam Team { get; }

    /// <summary>Means over the photographs of the cosine distances to the teacher's pooled features and map.</summary>
    public (double Pooled, double Cells) Distances
    {
        get
        {
            double Mean(Func<StudentShare, double> of) => _shares.Select((share, worker) => of(share) * PhotographShare(worker)).Sum();
            return (Mean(share => share.Distances.Pooled), Mean(share => share.Distances.Cells));
        }
    }

    /// <summary>Computes embeddings, text features and distances to the teacher.</summary>
    /// <param name="photographs">The photographs with the teacher's features.</param>
    /// <param name="drawings">The drawings.</param>
    /// <param name="texts">Token ids of all texts.</param>
    /// <param name="weights">Weights of the distances in the loss.</param>
    /// <param name="normalised">Normalises pixels [images, 3, size, size] of type uint8.</param>
    public void Forward(
        PhotographBatch photographs,
        CaptionedBatch drawings,
        int[][] texts,
        (double Pooled, double Cells) weights,
        Func<Tensor, Tensor> normalised
    )
    {
        (_photographs, _drawings, _texts) = (photographs.Classes.Length, drawings.Count, texts.Length);
        Team.Run(worker =>
        {
            PhotographBatch some = photographs.Part(Part(_photographs, worker));
            Range drawn = Part(_drawings, worker);
            byte[] planes = drawings.Planes[(drawn.Start.Value * Planes)..(drawn.End.Value * Planes)];
            const int size = PhotographSettings.ImageSize;
            double share = PhotographShare(worker);
            _shares[worker]
                .Forward(
                    () =>
                        cat(
                            [
                                normalised(tensor(some.Pixels, [some.Classes.Length, size, size, 3]).permute(0, 3, 1, 2)),
                                normalised(tensor(planes, [planes.Length / Planes, 3, size, size])),
                            ],
                            0
                        ),
                    // Drawings keep the same patches as the first photographs of the step.
                    [.. some.Kept, .. photographs.Part(drawn).Kept],
                    some,
                    texts[Part(_texts, worker)],
                    (weights.Pooled * share, weights.Cells * share)
                );
        });
    }

    /// <summary>Embeddings of the photographs, then of the drawings, [images, embedding], not normalised and without a graph.</summary>
    public Tensor Embeddings() =>
        cat(
            [
                .. _shares.Select((share, worker) => share.Embeddings.detach().narrow(0, 0, Count(_photographs, worker))),
                .. _shares.Select(
                    (share, worker) => share.Embeddings.detach().narrow(0, Count(_photographs, worker), Count(_drawings, worker))
                ),
            ],
            0
        );

    /// <summary>Features of the texts, [texts, embedding], of unit length and without a graph.</summary>
    public Tensor Texts() => cat([.. _shares.Select(share => share.Texts.detach())], 0);

    /// <summary>Computes the gradients of the shares' parameters.</summary>
    /// <param name="embeddings">Gradient of the loss at <see cref="Embeddings"/>.</param>
    /// <param name="texts">Gradient of the loss at <see cref="Texts"/>.</param>
    public void Backward(Tensor embeddings, Tensor texts) =>
        Team.Run(worker =>
        {
            using var scope = NewDisposeScope();
            Tensor Rows(Tensor all, int before, int count, int worker) =>
                all.narrow(0, before + Part(count, worker).Start.Value, Count(count, worker));
            Tensor ofImages = cat([Rows(embeddings, 0, _photographs, worker), Rows(embeddings, _photographs, _drawings, worker)], 0);
            _shares[worker].Backward(ofImages, Rows(texts, 0, _texts, worker));
        });

    /// <summary>Frees what the step has computed; to be called after every step, also after a failed one.</summary>
    public void Free() => Team.Run(worker => _shares[worker].Free());

    /// <summary>Adds the shares' gradients to those of the trained parameters.</summary>
    public void AddGradients(IReadOnlyDictionary<string, Parameter> trained)
    {
        using var noGrad = no_grad();
        foreach (var (name, replica) in _shares.SelectMany(share => share.Parameters))
            if (replica.grad is not { } gradient)
                continue;
            else if (trained[name].grad is { } sum)
                sum.PlusInPlace(gradient);
            else
                trained[name].grad = gradient.clone();
    }

    public void Dispose()
    {
        Team.Dispose();
        foreach (StudentShare share in _shares)
            share.Dispose();
    }

    private double PhotographShare(int worker) => (double)Count(_photographs, worker) / _photographs;

    private int Count(int all, int worker) => Part(all, worker).GetOffsetAndLength(all).Length;

    /// <summary>A worker's part of a list: contiguous, and as large as the others' but for one.</summary>
    private Range Part(int count, int worker) => (count * worker / Team.Count)..(count * (worker + 1) / Team.Count);
}
