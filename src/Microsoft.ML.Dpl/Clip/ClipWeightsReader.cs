using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Reads the branches of a CLIP from a checkpoint, each without touching the other, and folds the constants in that
/// <see cref="BlockWeights"/> names.</summary>
internal static class ClipWeightsReader
{
    /// <summary>Checks names, types and shapes of both branches; reads no tensor.</summary>
    /// <exception cref="InvalidDataException">Tensors are missing, or have another shape or type than <paramref name="config"/>
    /// says.</exception>
    public static void Check(ITensorSource source, ClipNaming naming, ClipConfig config)
    {
        _ = new ClipCheckpoint(source, naming, ClipLayout.Vision(config).Concat(ClipLayout.Text(config)));
        RefuseFurtherLayers(source, naming, ClipLayout.VisionBlocks, config.Vision);
        RefuseFurtherLayers(source, naming, ClipLayout.TextBlocks, config.Text);
    }

    /// <summary>Reads the image branch. The caller owns the result; no dispose scope does.</summary>
    /// <exception cref="InvalidDataException">Tensors are missing, or have another shape or type than <paramref name="config"/>
    /// says.</exception>
    public static VisionWeights ReadVision(ITensorSource source, ClipNaming naming, ClipConfig config, Device device)
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        // Tensors made in a caller's inference mode could not be kept for anyone's backward pass.
        using var ordinary = inference_mode(false);
        using var noGradients = no_grad();
        var checkpoint = new ClipCheckpoint(source, naming, ClipLayout.Vision(config));
        Tensor Take(string name) => checkpoint.Read(name).to(device);
        Tensor patches = Take("visual.conv1.weight");
        var weights = new VisionWeights(
            config,
            patches.reshape(patches.shape[0], -1),
            Take("visual.class_embedding"),
            Take("visual.positional_embedding"),
            Take("visual.ln_pre.weight"),
            Take("visual.ln_pre.bias"),
            ReadBlocks(checkpoint, ClipLayout.VisionBlocks, config.Vision, device),
            Take("visual.ln_post.weight"),
            Take("visual.ln_post.bias"),
            Take("visual.proj")
        );
        foreach (Tensor tensor in weights.Tensors)
            tensor.DetachFromDisposeScope();
        return weights;
    }

    /// <summary>Reads the text branch. The caller owns the result; no dispose scope does.</summary>
    /// <exception cref="InvalidDataException">Tensors are missing, or have another shape or type than <paramref name="config"/> says, or
    /// the logit scale is no usable number.</exception>
    public static TextWeights ReadText(ITensorSource source, ClipNaming naming, ClipConfig config, Device device)
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        using var ordinary = inference_mode(false);
        using var noGradients = no_grad();
        var checkpoint = new ClipCheckpoint(source, naming, ClipLayout.Text(config));
        Tensor Take(string name) => checkpoint.Read(name).to(device);
        double logitScale = Math.Exp(checkpoint.Read("logit_scale").item<float>());
        if (!double.IsFinite(logitScale) || logitScale == 0)
            throw new InvalidDataException($"{source.Location}: exp of tensor 'logit_scale' is {logitScale}, which cannot scale logits.");
        var weights = new TextWeights(
            config,
            Take("token_embedding.weight"),
            Take("positional_embedding"),
            ReadBlocks(checkpoint, ClipLayout.TextBlocks, config.Text, device),
            Take("ln_final.weight"),
            Take("ln_final.bias"),
            Take("text_projection"),
            logitScale
        );
        foreach (Tensor tensor in weights.Tensors)
            tensor.DetachFromDisposeScope();
        return weights;
    }

    // A configuration with too few layers would otherwise make another, worse model without a word.
    private static void RefuseFurtherLayers(ITensorSource source, ClipNaming naming, string prefix, ClipTransformerConfig config)
    {
        string next = naming.Locate(new ExpectedTensor($"{prefix}{config.Layers}.ln_1.weight", [config.Width], Fields: null)).Names[0];
        if (source.Entries.ContainsKey(next))
            throw new InvalidDataException(
                $"{source.Location}: there is a tensor '{next}', but the configuration has only {config.Layers} such layers; compare "
                    + "num_hidden_layers."
            );
    }

    private static BlockWeights[] ReadBlocks(ClipCheckpoint checkpoint, string prefix, ClipTransformerConfig config, Device device) =>
        [.. Enumerable.Range(0, config.Layers).Select(layer => ReadBlock(checkpoint, $"{prefix}{layer}", config, device))];

    private static BlockWeights ReadBlock(ClipCheckpoint checkpoint, string name, ClipTransformerConfig config, Device device)
    {
        double queryDivisor = Math.Sqrt((double)config.Width / config.Heads);
        double factor = config.Activation == ClipActivation.QuickGelu ? BlockWeights.QuickGeluFactor : 1;
        Tensor Take(string part) => checkpoint.Read($"{name}.{part}");
        Tensor qkvWeight = Take("attn.in_proj_weight"),
            qkvBias = Take("attn.in_proj_bias");
        Tensor upWeight = Take("mlp.c_fc.weight"),
            upBias = Take("mlp.c_fc.bias"),
            downWeight = Take("mlp.c_proj.weight");
        qkvWeight.narrow(0, 0, config.Width).div_(queryDivisor);
        qkvBias.narrow(0, 0, config.Width).div_(queryDivisor);
        upWeight.mul_(factor);
        upBias.mul_(factor);
        downWeight.div_(factor);
        return new BlockWeights(
            Take("ln_1.weight").to(device),
            Take("ln_1.bias").to(device),
            qkvWeight.to(device),
            qkvBias.to(device),
            Take("attn.out_proj.weight").to(device),
            Take("attn.out_proj.bias").to(device),
            Take("ln_2.weight").to(device),
            Take("ln_2.bias").to(device),
            upWeight.to(device),
            upBias.to(device),
            downWeight.to(device),
            Take("mlp.c_proj.bias").to(device)
        );
    }
}
