using Microsoft.ML.Dpl.Clip;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace PretrainTinyClip;

/// <summary>The parameters of a CLIP in training, unfolded, under OpenAI's names. They are folded in every step, so that gradients flow
/// through the folding.</summary>
internal sealed class LearnedClip : IDisposable
{
    private readonly Dictionary<string, Parameter> _values = [];

    /// <param name="config">The shape.</param>
    /// <param name="initial">Returns each tensor's initial value, which is copied.</param>
    /// <param name="device">The device of the parameters.</param>
    public LearnedClip(ClipConfig config, Func<ExpectedTensor, Tensor> initial, Device device)
    {
        Config = config;
        using var scope = NewDisposeScope();
        foreach (ExpectedTensor tensor in ClipLayout.Image(config).Concat(ClipLayout.Text(config)))
        {
            var parameter = new Parameter(initial(tensor).to(ScalarType.Float32).to(device).clone(), requires_grad: true);
            parameter.DetachFromDisposeScope();
            _values.Add(tensor.Name, parameter);
        }
    }

    private LearnedClip(LearnedClip other)
    {
        Config = other.Config;
        foreach (var (name, value) in other._values)
            _values.Add(name, Replica(value));
    }

    public ClipConfig Config { get; }

    /// <summary>Every parameter under OpenAI's name; owned by this object.</summary>
    public IReadOnlyDictionary<string, Parameter> Values => _values;

    /// <summary>Logarithm of the factor on cosine similarities, a scalar.</summary>
    public Parameter LogitScale => _values["logit_scale"];

    /// <summary>The folded weights of the image tower, in the caller's dispose scope.</summary>
    public ImageWeights FoldImageTower()
    {
        Tensor patches = _values["visual.conv1.weight"];
        return new ImageWeights(
            Config,
            patches.view(patches.shape[0], -1),
            _values["visual.class_embedding"],
            _values["visual.positional_embedding"],
            _values["visual.ln_pre.weight"],
            _values["visual.ln_pre.bias"],
            FoldBlocks(ClipLayout.ImageBlocks, Config.Image),
            _values["visual.ln_post.weight"],
            _values["visual.ln_post.bias"],
            _values["visual.proj"]
        );
    }

    /// <summary>The folded weights of the text tower, in the caller's dispose scope.</summary>
    public TextWeights FoldText() =>
        new(
            Config,
            _values["token_embedding.weight"],
            _values["positional_embedding"],
            FoldBlocks(ClipLayout.TextBlocks, Config.Text),
            _values["ln_final.weight"],
            _values["ln_final.bias"],
            _values["text_projection"],
            LogitScale: 1
        );

    /// <summary>The same values with gradients of their own.</summary>
    public LearnedClip Replica() => new(this);

    /// <summary>A parameter that shares its values with another one, but not its gradient.</summary>
    public static Parameter Replica(Parameter value)
    {
        var replica = new Parameter(value.detach(), requires_grad: true);
        replica.DetachFromDisposeScope();
        return replica;
    }

    public void Dispose()
    {
        foreach (Parameter value in _values.Values)
            value.Dispose();
    }

    private BlockWeights[] FoldBlocks(string prefix, ClipTransformerConfig branch) =>
        [
            .. Enumerable
                .Range(0, branch.Layers)
                .Select(layer =>
                {
                    Tensor Part(string part) => _values[$"{prefix}{layer}.{part}"];
                    double divisor = Math.Sqrt((double)branch.Width / branch.Heads);
                    Tensor FoldQuery(Tensor stacked) =>
                        cat([stacked.narrow(0, 0, branch.Width) / divisor, stacked.narrow(0, branch.Width, 2 * branch.Width)], 0);
                    return new BlockWeights(
                        Part("ln_1.weight"),
                        Part("ln_1.bias"),
                        FoldQuery(Part("attn.in_proj_weight")),
                        FoldQuery(Part("attn.in_proj_bias")),
                        Part("attn.out_proj.weight"),
                        Part("attn.out_proj.bias"),
                        Part("ln_2.weight"),
                        Part("ln_2.bias"),
                        Part("mlp.c_fc.weight") * BlockWeights.QuickGeluFactor,
                        Part("mlp.c_fc.bias") * BlockWeights.QuickGeluFactor,
                        Part("mlp.c_proj.weight") / BlockWeights.QuickGeluFactor,
                        Part("mlp.c_proj.bias")
                    );
                }),
        ];
}
