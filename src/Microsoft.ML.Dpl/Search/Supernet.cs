using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Network;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Search;

/// <summary>Everything that the search learns.</summary>
/// <param name="Branches">The alphas and candidate prompts of both branches; owned by this object.</param>
internal sealed record Supernet(BranchPair<SupernetBranch> Branches) : IDisposable
{
    /// <summary>[layers, candidates] for each branch, in the order of <see cref="BranchPair{T}.ImageFirst"/>.</summary>
    public IEnumerable<Parameter> Alphas => Branches.ImageFirst.Select(branch => branch.Alphas);

    /// <summary>[Σ candidates, width] for each layer of both branches, in the same order of branches.</summary>
    public IEnumerable<Parameter> Prompts => Branches.ImageFirst.SelectMany(branch => branch.Rows);

    public void RequireGradients(bool ofAlphas, bool ofPrompts)
    {
        Branches.Text.RequireGradients(ofAlphas, ofPrompts);
        Branches.Image.RequireGradients(ofAlphas, ofPrompts);
    }

    public void Dispose()
    {
        Branches.Text.Dispose();
        Branches.Image.Dispose();
    }
}

/// <summary>What the search learns in one branch: for every layer its alphas and, for every non-zero candidate, a prompt of its
/// own.</summary>
internal sealed class SupernetBranch : IPromptedBranch, IDisposable
{
    private readonly PromptGroups _groups;
    private readonly Parameter[] _rows;

    /// <summary>Takes copies of the given values.</summary>
    /// <param name="candidates">Candidate prompt lengths, increasing, the first 0.</param>
    /// <param name="alphas">[layers, candidates]</param>
    /// <param name="rows">One [Σ candidates, width] per layer: the prompts of candidates 1, 2, … one after the other.</param>
    public SupernetBranch(IReadOnlyList<int> candidates, Tensor alphas, IReadOnlyList<Tensor> rows)
    {
        CheckCandidates(candidates);
        if (alphas.shape is not [var layers, var count] || layers != rows.Count || count != candidates.Count)
            throw new ArgumentException(
                $"Alphas of shape [{string.Join(", ", alphas.shape)}] do not fit {rows.Count} layers and {candidates.Count} candidates.",
                nameof(alphas)
            );
        if (rows.Any(r => r.shape[0] != candidates.Sum()))
            throw new ArgumentException($"Every layer needs {candidates.Sum()} prompt rows.", nameof(rows));
        Candidates = [.. candidates];
        _groups = new PromptGroups([.. candidates.Skip(1)], alphas.device);
        using var noGrad = no_grad();
        Alphas = PromptedBranches.Learned(alphas);
        _rows = [.. rows.Select(PromptedBranches.Learned)];
        RequireGradients(ofAlphas: false, ofPrompts: false);
    }

    /// <summary>Candidate prompt lengths, increasing, the first 0.</summary>
    public IReadOnlyList<int> Candidates { get; }

    /// <summary>[layers, candidates]; owned by this object.</summary>
    public Parameter Alphas { get; }

    /// <summary>One [Σ candidates, width] per layer; owned by this object.</summary>
    public IReadOnlyList<Parameter> Rows => _rows;

    /// <summary>The paper's initial values: alphas 1e-3 · N(0, 1), prompts from <paramref name="distribution"/>.</summary>
    public static SupernetBranch Create(
        IReadOnlyList<int> candidates,
        int layers,
        int width,
        PromptDistribution distribution,
        Generator generator,
        Device device
    )
    {
        using var scope = NewDisposeScope();
        CheckCandidates(candidates);
        // Drawn on the CPU whatever the device, so that a seed means the same numbers everywhere.
        Tensor alphas = (randn(layers, candidates.Count, ScalarType.Float32, generator: generator) * 1e-3).to(device);
        Tensor[] rows = [.. Enumerable.Range(0, layers).Select(_ => distribution.Draw(candidates.Sum(), width, generator).to(device))];
        return new SupernetBranch(candidates, alphas, rows);
    }

    /// <summary>Chooses what gradients are computed for; a step needs those of what it steps and no others.</summary>
    public void RequireGradients(bool ofAlphas, bool ofPrompts)
    {
        Alphas.requires_grad_(ofAlphas);
        foreach (Tensor rows in _rows)
            rows.requires_grad_(ofPrompts);
    }

    public IReadOnlyList<Parameter> Parameters => [Alphas, .. _rows];

    public IReadOnlyList<LayerPrompt?> Layers(Func<Parameter, Tensor> stand)
    {
        Tensor weights = stand(Alphas).softmax(-1);
        return [.. _rows.Select((rows, layer) => new LayerPrompt(stand(rows), weights.select(0, layer), _groups))];
    }

    /// <summary>A branch with copies of the chosen candidates' prompts, as the search left them. The caller owns it.</summary>
    /// <param name="lengths">One of the candidates per layer.</param>
    public FixedBranch Choose(IReadOnlyList<int> lengths)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return new FixedBranch(
            [
                .. lengths.Select(
                    (length, layer) =>
                        length == 0 ? null : _rows[layer].narrow(0, Candidates.TakeWhile(candidate => candidate < length).Sum(), length)
                ),
            ],
            Alphas.device
        );
    }

    public void Dispose()
    {
        Alphas.Dispose();
        foreach (Tensor rows in _rows)
            rows.Dispose();
        _groups.Dispose();
    }

    /// <exception cref="ArgumentException">Not increasing, not beginning with 0, or nothing but 0.</exception>
    public static void CheckCandidates(IReadOnlyList<int> candidates)
    {
        if (candidates.Count < 2 || candidates[0] != 0 || candidates.Zip(candidates.Skip(1)).Any(pair => pair.Second <= pair.First))
            throw new ArgumentException(
                $"Candidate context lengths must increase from 0 and hold a further one; these are {string.Join(", ", candidates)}.",
                nameof(candidates)
            );
    }
}
