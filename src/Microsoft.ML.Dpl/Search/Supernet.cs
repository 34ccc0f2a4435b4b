using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Search;

/// <summary>All parameters that the search learns.</summary>
/// <param name="Branches">The alphas and candidate prompts of both branches; owned by this object.</param>
/// <param name="Temperature">Learned with the prompts, owned by this object; null: the logits are CLIP's own.</param>
/// <param name="Context">Learned vectors in the input of the text tower, owned by this object; null: none.</param>
/// <param name="Residual">Learned vectors added to the class features, owned by this object; null: none.</param>
internal sealed record Supernet(
    BranchPair<SupernetBranch> Branches,
    Temperature? Temperature = null,
    InputContext? Context = null,
    TaskResidual? Residual = null
) : IDisposable
{
    /// <summary>[layers, candidates] for each branch that has alphas of its own, in the order of
    /// <see cref="BranchPair{T}.ImageFirst"/>.</summary>
    public IEnumerable<Parameter> Alphas => Branches.ImageFirst.Select(branch => branch.Alphas).Where(alphas => alphas.numel() > 0);

    /// <summary>
    /// The parameters that determine the prompts of both branches, in the same order of branches, followed by the context and the residual.
    /// </summary>
    public IEnumerable<Parameter> Prompts =>
        [
            .. Branches.ImageFirst.SelectMany(branch => branch.PromptParameters),
            .. Context is null ? [] : new[] { Context.Vectors },
            .. Residual is null ? [] : new[] { Residual.Values },
        ];

    /// <summary>The branches as input of the towers, the text branch with context and residual.</summary>
    public BranchPair<IPromptedBranch> Passes => new(Text: Branches.Text.With(Context, Residual), Image: Branches.Image);

    /// <summary>The prompts, followed by the temperature.</summary>
    public IEnumerable<Parameter> PromptsAndTemperature => [.. Prompts, .. Temperature is null ? [] : new[] { Temperature.Logarithm }];

    public void RequireGradients(bool ofAlphas, bool ofPrompts)
    {
        Branches.Text.RequireGradients(ofAlphas, ofPrompts);
        Branches.Image.RequireGradients(ofAlphas, ofPrompts);
        Context?.Vectors.requires_grad_(ofPrompts);
        Residual?.Values.requires_grad_(ofPrompts);
        Temperature?.Logarithm.requires_grad_(ofPrompts);
    }

    /// <summary>The logits of the mixture, divided by the temperature.</summary>
    /// <inheritdoc cref="PromptedClip.Logits{TBranch}(Tensor, BranchPair{TBranch}, BackwardTensors)"/>
    public Tensor Logits(PromptedClip clip, Tensor images, BackwardTensors backward)
    {
        Tensor logits = clip.Logits(images, Passes, backward);
        return Temperature?.Cool(logits) ?? logits;
    }

    /// <summary>Copies of the rows of all candidates, weighted by the current alphas. The caller owns both branches.</summary>
    public BranchPair<MixtureBranch> ToMixture()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Branches.Text.Path = Branches.Image.Path = null;
        return Branches.Select(branch =>
        {
            LayerPrompt[] layers = [.. branch.Layers().OfType<LayerPrompt>()];
            return MixtureBranch.From(
                branch.Candidates,
                [.. layers.Select(layer => layer.Rows)],
                stack(layers.Select(layer => layer.Weights)),
                branch.Alphas.device
            );
        });
    }

    /// <summary>Samples one candidate for each layer, text layers first; the following passes compute with these alone.</summary>
    public void DrawPath(Random random)
    {
        Branches.Text.DrawPath(random);
        Branches.Image.DrawPath(random);
    }

    /// <summary>Sets <see cref="SupernetBranch.Sharpness"/> of both branches.</summary>
    public void Sharpen(double sharpness) => Branches.Text.Sharpness = Branches.Image.Sharpness = sharpness;

    public void Dispose()
    {
        Branches.Text.Dispose();
        Branches.Image.Dispose();
        Context?.Dispose();
        Residual?.Dispose();
        Temperature?.Dispose();
    }
}

/// <summary>What the search learns in one branch: for every layer its alphas and a separate prompt for every non-zero candidate.</summary>
internal class SupernetBranch : IPromptedBranch, IDisposable
{
    private readonly PromptGroups _groups;
    private readonly Parameter[] _rows;
    private readonly bool _nested;

    /// <summary>Takes copies of the given values.</summary>
    /// <param name="candidates">Candidate prompt lengths, increasing, the first 0.</param>
    /// <param name="alphas">[layers, candidates]</param>
    /// <param name="rows">One [Σ candidates, width] per layer: the concatenated prompts of candidates 1, 2, …; if nested, one [longest
    /// candidate, width].</param>
    /// <param name="nested">Whether each candidate's prompt consists of the first rows of the longest candidate's.</param>
    public SupernetBranch(IReadOnlyList<int> candidates, Tensor alphas, IReadOnlyList<Tensor> rows, bool nested = false)
    {
        CheckCandidates(candidates);
        if (alphas.shape is not [var layers, var count] || layers != rows.Count || count != candidates.Count)
            throw new ArgumentException(
                $"Alphas of shape [{string.Join(", ", alphas.shape)}] do not fit {rows.Count} layers and {candidates.Count} candidates.",
                nameof(alphas)
            );
        _nested = nested;
        int needed = RowsOf(candidates, nested);
        if (rows.Any(r => r.shape[0] != needed))
            throw new ArgumentException($"Every layer needs {needed} prompt rows.", nameof(rows));
        Candidates = [.. candidates];
        _groups = new PromptGroups([.. candidates.Skip(1)], alphas.device);
        using var noGrad = no_grad();
        Alphas = PromptedBranches.Learned(alphas);
        _rows = [.. rows.Select(PromptedBranches.Learned)];
    }

    /// <summary>Candidate prompt lengths, increasing, the first 0.</summary>
    public IReadOnlyList<int> Candidates { get; }

    /// <summary>[layers, candidates] of the layers that have their own alphas; owned by this object.</summary>
    public Parameter Alphas { get; }

    /// <summary>[layers, candidates] of all layers, in the caller's dispose scope unless the branch owns it.</summary>
    public virtual Tensor AllAlphas() => Alphas;

    /// <summary>One [Σ candidates, width] per layer, or [longest candidate, width] if nested; owned by this object.</summary>
    public IReadOnlyList<Parameter> Rows => _rows;

    /// <summary>The paper's initial values: alphas 1e-3 · N(0, 1), prompts from <paramref name="distribution"/>.</summary>
    public static SupernetBranch Create(
        IReadOnlyList<int> candidates,
        int layers,
        int width,
        PromptDistribution distribution,
        Generator generator,
        Device device,
        bool nested = false
    )
    {
        using var scope = NewDisposeScope();
        CheckCandidates(candidates);
        // Drawn on the CPU, so that a seed gives the same numbers on every device.
        Tensor alphas = randn(layers, candidates.Count, ScalarType.Float32, generator: generator).Times(1e-3).to(device);
        Tensor[] rows =
        [
            .. Enumerable.Range(0, layers).Select(_ => distribution.Draw(RowsOf(candidates, nested), width, generator).to(device)),
        ];
        return new SupernetBranch(candidates, alphas, rows, nested);
    }

    /// <summary>The parameters that a prompt step may change.</summary>
    public virtual IReadOnlyList<Parameter> PromptParameters => _rows;

    /// <summary>Sets which parameters require gradients: a step needs those of the parameters it updates and no others.</summary>
    public void RequireGradients(bool ofAlphas, bool ofPrompts)
    {
        Alphas.requires_grad_(ofAlphas);
        foreach (Tensor parameter in PromptParameters)
            parameter.requires_grad_(ofPrompts);
    }

    /// <summary>Factor of the alphas before the softmax, above 0: the larger it is, the closer the mixture is to its choice.</summary>
    public double Sharpness { get; set; } = 1;

    public virtual IReadOnlyList<Parameter> Parameters => [Alphas, .. _rows];

    public virtual IReadOnlyList<LayerPrompt?> Layers(Func<Parameter, Tensor> stand)
    {
        Tensor alphas = stand(Alphas),
            weights = (Sharpness == 1 ? alphas : alphas.Times(Sharpness)).softmax(-1);
        if (Path is { } path)
            // The value is one-hot at the sampled candidates; the gradients are those of the mixture's weights.
            weights = OneHot(path, weights).Plus(weights - weights.detach());
        return [.. _rows.Select((rows, layer) => new LayerPrompt(Unfolded(stand(rows)), weights.select(0, layer), _groups))];
    }

    /// <summary>The candidate of each layer that passes compute with; null: the mixture of all candidates.</summary>
    public IReadOnlyList<int>? Path { get; set; }

    /// <summary>Samples <see cref="Path"/>, each candidate with its weight as the probability.</summary>
    public void DrawPath(Random random)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        float[] weights = Alphas.Times(Sharpness).softmax(-1).cpu().data<float>().ToArray();
        Path = [.. weights.Chunk(Candidates.Count).Select(layer => Drawn(layer, random.NextDouble()))];
    }

    private static int Drawn(float[] weights, double point)
    {
        int candidate = 0;
        while (candidate < weights.Length - 1 && (point -= weights[candidate]) >= 0)
            candidate++;
        return candidate;
    }

    private static Tensor OneHot(IReadOnlyList<int> path, Tensor like)
    {
        float[] values = new float[like.numel()];
        for (int layer = 0; layer < path.Count; layer++)
            values[layer * like.shape[1] + path[layer]] = 1;
        return NativeTensor.From(values, like.shape, like.device);
    }

    /// <summary>[Σ candidates, width]: the rows of all candidates, concatenated.</summary>
    private Tensor Unfolded(Tensor rows) => _nested ? cat([.. Candidates.Skip(1).Select(length => rows.narrow(0, 0, length))], 0) : rows;

    private int FirstRow(int length) => _nested ? 0 : Candidates.TakeWhile(candidate => candidate < length).Sum();

    private static int RowsOf(IReadOnlyList<int> candidates, bool nested) => nested ? candidates[^1] : candidates.Sum();

    /// <summary>A branch with copies of the chosen candidates' prompts in their current state. The caller owns it.</summary>
    /// <param name="lengths">The chosen candidate length of each layer.</param>
    public virtual FixedBranch Choose(IReadOnlyList<int> lengths)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return new FixedBranch(
            [.. lengths.Select((length, layer) => length == 0 ? null : _rows[layer].narrow(0, FirstRow(length), length))],
            Alphas.device
        );
    }

    public virtual void Dispose()
    {
        Alphas.Dispose();
        foreach (Tensor rows in _rows)
            rows.Dispose();
        _groups.Dispose();
    }

    /// <exception cref="ArgumentException">The lengths do not increase, do not begin with 0, or are only 0.</exception>
    public static void CheckCandidates(IReadOnlyList<int> candidates, string name = "candidates")
    {
        if (candidates.Count < 2 || candidates[0] != 0 || candidates.Zip(candidates.Skip(1)).Any(pair => pair.Second <= pair.First))
            throw new ArgumentException(
                $"Candidate prompt lengths must increase from 0 and hold a further one; these are {string.Join(", ", candidates)}.",
                name
            );
    }
}
