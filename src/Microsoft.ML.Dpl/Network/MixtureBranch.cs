using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>
/// One branch whose layers mix the same candidates with constant weights that differ between layers: what a supernet computes once its
/// alphas no longer change. Only the prompts are trained.
/// </summary>
internal sealed class MixtureBranch : ITrainedBranch
{
    private const double SumTolerance = 1e-4;

    private readonly Parameter[] _rows;
    private readonly Tensor[] _weights; // [1 + candidates] each
    private readonly PromptGroups _groups;

    private MixtureBranch(IReadOnlyList<int> candidates, IReadOnlyList<Tensor> rows, float[][] weights, Device device)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        (Candidates, Weights) = ([.. candidates], weights);
        _groups = new PromptGroups([.. candidates.Skip(1)], device);
        _rows = [.. rows.Select(values => PromptedBranches.Learned(values.to(device)))];
        _weights = [.. weights.Select(layer => NativeTensor.From(layer, device: device).DetachFromDisposeScope())];
    }

    /// <summary>Candidate prompt lengths, the first 0: the plain block.</summary>
    public IReadOnlyList<int> Candidates { get; }

    /// <summary>[layer][candidate], the plain block first.</summary>
    public IReadOnlyList<IReadOnlyList<float>> Weights { get; }

    /// <summary>One [Σ candidates, width] per layer: the concatenated prompts of candidates 1, 2, …; owned by this object.</summary>
    public IReadOnlyList<Parameter> Rows => _rows;

    public IReadOnlyList<Parameter> Parameters => _rows;

    /// <summary>Takes copies of the given values.</summary>
    /// <param name="candidates">Candidate prompt lengths, the first 0, the others at least 1.</param>
    /// <param name="rows">One [Σ candidates, width] per layer.</param>
    /// <param name="weights">[layers, candidates], the plain block first; those of a layer are at least 0 and sum to 1.</param>
    /// <param name="device">The device of the branch.</param>
    /// <exception cref="ArgumentException">The shapes do not match, a layer would have more than <see cref="LayerPrompt.MaximumLength"/>
    /// rows, or the weights do not form a mixture.</exception>
    public static MixtureBranch From(IReadOnlyList<int> candidates, IReadOnlyList<Tensor> rows, Tensor weights, Device device)
    {
        CheckRowCount(candidates);
        if (weights.shape is not [var layers, var count] || layers != rows.Count || count != candidates.Count)
            throw new ArgumentException(
                $"Weights of shape [{string.Join(", ", weights.shape)}] do not fit {rows.Count} layers and {candidates.Count} candidates.",
                nameof(weights)
            );
        if (rows.Any(layer => layer.shape[0] != candidates.Sum()))
            throw new ArgumentException($"Every layer needs {candidates.Sum()} prompt rows.", nameof(rows));
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        float[][] values = [.. weights.to(ScalarType.Float32).cpu().contiguous().data<float>().ToArray().Chunk(candidates.Count)];
        foreach (float[] layer in values)
            CheckWeights(layer);
        return new MixtureBranch(candidates, rows, values, device);
    }

    /// <summary>Checks the candidates and their total number of rows.</summary>
    /// <exception cref="ArgumentException">There are fewer than two candidates, the first is not 0, or the others have no rows or more than
    /// <see cref="LayerPrompt.MaximumLength"/> together.</exception>
    public static void CheckRowCount(IReadOnlyList<int> candidates)
    {
        long rows = candidates.Sum(length => (long)length);
        if (candidates.Count < 2 || candidates[0] != 0 || rows is < 1 or > LayerPrompt.MaximumLength)
            throw new ArgumentException(
                $"A mixture of {candidates.Count} candidates with {rows} prompt rows is not possible: the plain block comes first, and "
                    + $"the others have 1 to {LayerPrompt.MaximumLength} rows together.",
                nameof(candidates)
            );
    }

    /// <summary>Checks that the weights form a mixture.</summary>
    /// <exception cref="ArgumentException">A weight is negative or not finite, or their sum differs from 1 by more than 1e-4.</exception>
    public static void CheckWeights(IReadOnlyList<float> weights)
    {
        foreach (float weight in weights)
            if (!(weight >= 0 && float.IsFinite(weight)))
                throw new ArgumentException($"A weight of {weight} is not possible in a mixture: it must be finite and at least 0.");
        double sum = weights.Sum(weight => (double)weight);
        if (Math.Abs(sum - 1) > SumTolerance)
            throw new ArgumentException($"The weights of a mixture must sum to 1, but these sum to {sum:g6}.");
    }

    public void RequireGradients(bool required)
    {
        foreach (Tensor rows in _rows)
            rows.requires_grad_(required);
    }

    public IReadOnlyList<LayerPrompt?> Layers(Func<Parameter, Tensor> stand) =>
        [.. _rows.Select((rows, layer) => new LayerPrompt(stand(rows), _weights[layer], _groups))];

    public void Dispose()
    {
        foreach (Tensor tensor in _rows.Concat(_weights))
            tensor.Dispose();
        _groups.Dispose();
    }
}
