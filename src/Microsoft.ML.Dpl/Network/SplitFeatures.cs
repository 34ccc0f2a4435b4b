using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>
/// The features of a batch and of the classes, computed and differentiated by the workers of <see cref="ClipParts"/>. To autograd this is
/// one function of the prompts and alphas; inside, every worker has its own graph over leaves that share the parameters' memory. Gradients
/// are added in worker order, so equal input gives equal bits.
/// </summary>
internal sealed class SplitFeatures : autograd.SingleTensorFunction<SplitFeatures>
{
    public override string Name => nameof(SplitFeatures);

    /// <param name="parts">The workers and their towers.</param>
    /// <param name="images">[batch, 3, size, size] normalised</param>
    /// <param name="prompts">The prompts of both branches.</param>
    /// <param name="withTexts">Whether the class features are computed too.</param>
    /// <param name="backward">Owns custom gradients until the step ends.</param>
    /// <returns>[classes + batch, embedding] unit rows, the class features first if they are computed; in the caller's dispose
    /// scope.</returns>
    public static Tensor Create(
        ClipParts parts,
        Tensor images,
        BranchPair<IPromptedBranch> prompts,
        bool withTexts,
        BackwardTensors backward
    )
    {
        var pass = new SplitPass(parts, images, prompts, withTexts);
        backward.Keep(pass);
        return apply([pass, backward, .. pass.Parameters]);
    }

    public override Tensor forward(autograd.AutogradContext ctx, params object[] arguments)
    {
        ctx.save_data("pass", arguments[0]);
        ctx.save_data("owner", arguments[1]);
        return ((SplitPass)arguments[0]).Forward();
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor outputGradient)
    {
        var pass = (SplitPass)ctx.get_data("pass");
        var owner = (BackwardTensors)ctx.get_data("owner");
        return owner.Guard(2 + pass.Parameters.Count, () =>
        {
            Tensor?[] gradients = pass.Backward(outputGradient);
            foreach (Tensor? gradient in gradients)
                owner.Keep(gradient);
            return [null!, null!, .. gradients.Select(gradient => gradient!)];
        });
    }
}

/// <summary>One forward and backward pass divided among the workers. Owns what the forward pass keeps for the backward pass.</summary>
internal sealed class SplitPass : IDisposable
{
    private readonly ClipParts _parts;
    private readonly BranchPair<IPromptedBranch> _prompts;
    private readonly bool _withTexts;
    private readonly Part[] _shares;
    private Features? _texts,
        _images;

    public SplitPass(ClipParts parts, Tensor images, BranchPair<IPromptedBranch> prompts, bool withTexts)
    {
        (_parts, _prompts, _withTexts) = (parts, prompts, withTexts);
        Parameters = [.. prompts.ImageFirst.SelectMany(branch => branch.Parameters)];
        _shares =
        [
            .. Enumerable
                .Range(0, parts.Team.Count)
                .Select(i => new Part(images, ClipParts.Share((int)images.shape[0], i, parts.Team.Count), Parameters)),
        ];
    }

    public IReadOnlyList<Parameter> Parameters { get; }

    /// <returns>[classes + batch, embedding] unit rows in the caller's dispose scope.</returns>
    public Tensor Forward()
    {
        using var scope = NewDisposeScope();
        _parts.Team.Run(i => _shares[i].Forward(_parts.Text, _withTexts ? _parts.Texts(i) : null, _parts.Image(i), _prompts));
        _texts = _withTexts ? new Features([.. _shares.Select(s => s.Text)]) : null;
        _images = new Features([.. _shares.Select(s => s.Image)]);
        return (_texts is null ? _images.Unit.clone() : cat([_texts.Unit, _images.Unit], 0)).MoveToOuterDisposeScope();
    }

    /// <param name="gradient">[classes + batch, embedding] the gradient with respect to the features.</param>
    /// <returns>One gradient for each of <see cref="Parameters"/>, null where none is needed; in the caller's dispose scope.</returns>
    public Tensor?[] Backward(Tensor gradient)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        long classes = _texts?.Unit.shape[0] ?? 0;
        var gradients = new BranchPair<Tensor?[]>(
            Text: _texts?.Backward(gradient.narrow(0, 0, classes)) ?? new Tensor?[_shares.Length],
            Image: _images!.Backward(gradient.narrow(0, classes, gradient.shape[0] - classes))
        );
        _parts.Team.Run(i => _shares[i].Backward(gradients.Select(parts => parts[i])));
        return [.. Parameters.Select((_, index) => Sum([.. _shares.Select(s => s.Gradient(index)).OfType<Tensor>()]))];
    }

    public void Dispose()
    {
        foreach (Part share in _shares)
            share.Dispose();
        _texts?.Dispose();
        _images?.Dispose();
    }

    private static Tensor? Sum(Tensor[] gradients)
    {
        if (gradients.Length == 0)
            return null;
        Tensor sum = gradients[0].clone();
        foreach (Tensor further in gradients.Skip(1))
            sum.PlusInPlace(further);
        return sum.MoveToOuterDisposeScope();
    }

    /// <summary>A worker's share of the work: some images, some classes, and leaf tensors in place of the parameters.</summary>
    private sealed class Part(Tensor images, (int First, int Count) share, IReadOnlyList<Parameter> parameters) : IDisposable
    {
        private readonly BackwardTensors _backward = new();
        private Tensor[] _leaves = [];

        /// <summary>[classes, embedding], null without classes.</summary>
        public Tensor? Text { get; private set; }

        /// <summary>[images, embedding], null without images.</summary>
        public Tensor? Image { get; private set; }

        public void Forward(TextTower text, ClassTexts? texts, ImageTower image, BranchPair<IPromptedBranch> prompts)
        {
            using var grad = enable_grad();
            using var scope = NewDisposeScope();
            _leaves = [.. parameters.Select(p => p.detach().requires_grad_(p.requires_grad).DetachFromDisposeScope())];
            // Keyed by handle, since two wrappers of one parameter must map to the same leaf.
            var leafOf = new Dictionary<IntPtr, Tensor>();
            for (int i = 0; i < _leaves.Length; i++)
                leafOf.Add(parameters[i].Handle, _leaves[i]);
            if (share.Count > 0)
                Image = image
                    .Forward(images.narrow(0, share.First, share.Count), prompts.Image.Layers(p => leafOf[p.Handle]), _backward)
                    .DetachFromDisposeScope();
            if (texts is not null)
                Text = text.Forward(
                        texts,
                        prompts.Text.Layers(p => leafOf[p.Handle]),
                        _backward,
                        prompts.Text.Context(p => leafOf[p.Handle])
                    )
                    .DetachFromDisposeScope();
        }

        /// <param name="gradients">The gradients with respect to <see cref="Text"/> and <see cref="Image"/>; null where the property is
        /// null.</param>
        public void Backward(BranchPair<Tensor?> gradients)
        {
            using var scope = NewDisposeScope();
            if (Text is { requires_grad: true })
                Text.backward([gradients.Text!]);
            if (Image is { requires_grad: true })
                Image.backward([gradients.Image!]);
            _backward.ThrowFailure();
        }

        public Tensor? Gradient(int parameter) => _leaves[parameter].requires_grad ? _leaves[parameter].grad : null;

        public void Dispose()
        {
            Image?.Dispose();
            Text?.Dispose();
            foreach (Tensor leaf in _leaves)
                leaf.Dispose();
            _backward.Dispose();
        }
    }

    /// <summary>The workers' features, concatenated and as unit rows.</summary>
    private sealed class Features : IDisposable
    {
        private readonly Tensor _lengths; // [rows, 1]
        private readonly long[] _counts;

        public Features(Tensor?[] parts)
        {
            using var noGrad = no_grad();
            using var scope = NewDisposeScope();
            Tensor rows = cat([.. parts.OfType<Tensor>()], 0);
            _counts = [.. parts.Select(p => p?.shape[0] ?? 0)];
            _lengths = rows.norm(-1, keepdim: true, p: 2.0f).DetachFromDisposeScope();
            Unit = (rows / _lengths).DetachFromDisposeScope();
        }

        /// <summary>[rows, embedding]</summary>
        public Tensor Unit { get; }

        /// <summary>
        /// Maps the gradient with respect to <see cref="Unit"/> to that of each worker's features; in the caller's dispose scope.
        /// </summary>
        public Tensor?[] Backward(Tensor gradient)
        {
            using var scope = NewDisposeScope();
            Tensor rows = (gradient - Unit * (gradient * Unit).sum(-1, keepdim: true)) / _lengths;
            var parts = new Tensor?[_counts.Length];
            long first = 0;
            for (int i = 0; i < parts.Length; first += _counts[i++])
                if (_counts[i] > 0)
                    parts[i] = rows.narrow(0, first, _counts[i]).MoveToOuterDisposeScope();
            return parts;
        }

        public void Dispose()
        {
            _lengths.Dispose();
            Unit.Dispose();
        }
    }
}
