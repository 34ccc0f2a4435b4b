using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace PretrainTinyClip.Photographs;

/// <summary>
/// An optimizer that orthogonalises the momentum of each matrix before the step (Jordan et al. 2024, "Muon"), scaled so that an entry moves
/// about as far as with AdamW, whose learning rate and weight decay can therefore be used (Liu et al. 2025, arXiv 2502.16982). For matrices
/// of hidden layers; stacked query, key and value matrices are treated separately.
/// </summary>
internal sealed class Muon : IDisposable
{
    private const double Momentum = 0.95,
        LikeAdam = 0.2;
    private const int Iterations = 5;

    private const double Least = 1e-7;

    private readonly (Parameter Value, Tensor Momentum, int Parts)[] _matrices;
    private readonly double _weightDecay;
    private readonly ScalarType _products;

    /// <param name="matrices">Matrices, of which all dimensions after the first are flattened, and the number of equal parts along the
    /// first dimension.</param>
    /// <param name="weightDecay">Decoupled weight decay: the fraction of a value that is subtracted at a learning rate of 1.</param>
    /// <param name="products">Data type of the matrix products.</param>
    public Muon(IEnumerable<(Parameter Value, int Parts)> matrices, double weightDecay, ScalarType products)
    {
        (_weightDecay, _products) = (weightDecay, products);
        _matrices = [.. matrices.Select(m => (m.Value, zeros_like(m.Value).DetachFromDisposeScope(), m.Parts))];
    }

    /// <summary>The momentum of each matrix, in order; owned by this object.</summary>
    public IReadOnlyList<Tensor> State => [.. _matrices.Select(m => m.Momentum)];

    /// <param name="learningRate">The learning rate.</param>
    /// <param name="team">Divides the matrices among themselves; null: all on the calling thread, with the same result.</param>
    public void Step(double learningRate, WorkerTeam? team = null)
    {
        if (team is null)
            Step(learningRate, 0, 1);
        else
            team.Run(part => Step(learningRate, part, team.Count));
    }

    private void Step(double learningRate, int first, int stride)
    {
        using var noGrad = no_grad();
        for (int i = first; i < _matrices.Length; i += stride)
        {
            var (value, momentum, parts) = _matrices[i];
            using var scope = NewDisposeScope();
            if (value.grad is not { } gradient)
                continue;
            momentum.TimesInPlace(Momentum).PlusInPlace(gradient);
            Tensor update = gradient.Plus(momentum.Times(Momentum)).view(parts, value.shape[0] / parts, -1);
            Tensor orthogonal = Orthogonal(update).view(value.shape);
            double scale = LikeAdam * Math.Sqrt(Math.Max(update.shape[1], update.shape[2]));
            value.TimesInPlace(1 - learningRate * _weightDecay).sub_(orthogonal.Times(learningRate * scale));
        }
    }

    public void Dispose()
    {
        foreach (var (_, momentum, _) in _matrices)
            momentum.Dispose();
    }

    /// <summary>Brings all singular values of [parts, rows, columns] close to 1 by the quintic Newton–Schulz iteration.</summary>
    private Tensor Orthogonal(Tensor matrices)
    {
        bool tall = matrices.shape[1] > matrices.shape[2];
        Tensor x = tall ? matrices.transpose(1, 2) : matrices;
        x = (x / x.square().sum([1, 2], keepdim: true).sqrt().AtLeast(Least)).to(_products);
        for (int i = 0; i < Iterations; i++)
        {
            Tensor square = x.matmul(x.transpose(1, 2));
            x = x.Times(3.4445).Plus(square.Times(-4.7750).Plus(square.matmul(square).Times(2.0315)).matmul(x));
        }
        x = x.to(ScalarType.Float32);
        return tall ? x.transpose(1, 2).contiguous() : x;
    }
}
