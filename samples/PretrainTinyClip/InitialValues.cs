using Microsoft.ML.Dpl.Clip;
using static TorchSharp.torch;

namespace PretrainTinyClip;

/// <summary>The distributions that OpenAI's CLIP starts from.</summary>
internal sealed class InitialValues(ClipConfig config, Generator generator)
{
    private const double Temperature = 0.07;

    /// <summary>A tensor's value before training.</summary>
    public Tensor Of(ExpectedTensor tensor)
    {
        string name = tensor.Name;
        long[] shape = [.. tensor.Shape];
        ClipTransformerConfig branch = name.StartsWith("visual.", StringComparison.Ordinal) ? config.Vision : config.Text;
        double width = branch.Width;
        if (name == "logit_scale")
            return TorchSharp.torch.tensor((float)Math.Log(1 / Temperature));
        if (name.Contains("ln_", StringComparison.Ordinal))
            return name.EndsWith("weight", StringComparison.Ordinal) ? ones(shape) : zeros(shape);
        if (name.EndsWith("bias", StringComparison.Ordinal))
            return zeros(shape);
        double deviation = name switch
        {
            "token_embedding.weight" => 0.02,
            "positional_embedding" => 0.01,
            "visual.conv1.weight" => Math.Pow(3.0 * shape[1] * shape[2] * shape[3], -0.5),
            _ when name.EndsWith("mlp.c_fc.weight", StringComparison.Ordinal) => Math.Pow(2 * width, -0.5),
            _ when name.EndsWith("_proj.weight", StringComparison.Ordinal) => Math.Pow(width, -0.5) * Math.Pow(2 * branch.Layers, -0.5),
            _ => Math.Pow(width, -0.5),
        };
        return randn(shape, generator: generator) * deviation;
    }
}
