using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace PretrainTinyClip;

/// <summary>Draws initial values from the distributions that OpenAI's CLIP uses, optionally mimicking trained weights in the image tower's
/// attention and positions.</summary>
internal sealed class InitialValues(ClipConfig config, Generator generator, bool likeTrained = false)
{
    private const double Temperature = 0.07;

    private readonly Dictionary<string, Tensor> _outputs = []; // output projections, drawn with the value projections

    /// <summary>Draws a tensor's initial value.</summary>
    public Tensor Draw(ExpectedTensor tensor)
    {
        string name = tensor.Name;
        long[] shape = [.. tensor.Shape];
        ClipTransformerConfig branch = name.StartsWith("visual.", StringComparison.Ordinal) ? config.Image : config.Text;
        double width = branch.Width;
        if (name == "logit_scale")
            return TorchSharp.torch.tensor((float)Math.Log(1 / Temperature));
        if (name.Contains("ln_", StringComparison.Ordinal))
            return name.EndsWith("weight", StringComparison.Ordinal) ? ones(shape) : zeros(shape);
        if (name.EndsWith("bias", StringComparison.Ordinal))
            return zeros(shape);
        if (likeTrained && name == "visual.positional_embedding")
            return Waves(shape);
        if (
            likeTrained
            && name.StartsWith(ClipLayout.ImageBlocks, StringComparison.Ordinal)
            && name.Contains(".attn.", StringComparison.Ordinal)
        )
            return name.EndsWith("in_proj_weight", StringComparison.Ordinal) ? Stacked(branch, name) : Output(name, shape);
        double deviation = name switch
        {
            "token_embedding.weight" => 0.02,
            "positional_embedding" => 0.01,
            "visual.conv1.weight" => Math.Pow(3.0 * shape[1] * shape[2] * shape[3], -0.5),
            _ when name.EndsWith("mlp.c_fc.weight", StringComparison.Ordinal) => Math.Pow(2 * width, -0.5),
            _ when name.EndsWith("_proj.weight", StringComparison.Ordinal) => Math.Pow(width, -0.5) * Math.Pow(2 * branch.Layers, -0.5),
            _ => Math.Pow(width, -0.5),
        };
        return randn(shape, generator: generator).Times(deviation);
    }

    private Tensor Output(string name, long[] shape) => name.EndsWith("bias", StringComparison.Ordinal) ? zeros(shape) : _outputs[name];

    /// <summary>Draws stacked query, key and value projections whose products resemble those of trained transformers: query times key is
    /// near the identity, value times output near its negative (Trockman, Kolter 2023, "Mimetic Initialization", arXiv
    /// 2305.09828).</summary>
    private Tensor Stacked(ClipTransformerConfig tower, string name)
    {
        const double likeness = 0.7,
            opposition = 0.4;
        long width = tower.Width,
            headWidth = width / tower.Heads;
        Tensor noise() => randn([width, width], generator: generator).Times(Math.Pow(width, -0.5));
        var queries = new List<Tensor>();
        var keys = new List<Tensor>();
        for (int head = 0; head < tower.Heads; head++)
        {
            var (left, sizes, right) = linalg.svd(noise().Plus(eye(width)).Times(likeness));
            Tensor roots = sizes.narrow(0, 0, headWidth).sqrt().unsqueeze(1);
            queries.Add(left.t().narrow(0, 0, headWidth) * roots);
            keys.Add(right.narrow(0, 0, headWidth) * roots);
        }
        var (values, spread, outputs) = linalg.svd((noise() - eye(width)).Times(opposition));
        Tensor root = spread.sqrt().unsqueeze(1);
        _outputs[name.Replace("in_proj_weight", "out_proj.weight")] = (outputs * root).t().contiguous();
        return cat([.. queries, .. keys, values.t() * root], 0);
    }

    /// <summary>Sinusoidal position embeddings: sines and cosines of row and column at several frequencies; zero for the class
    /// token.</summary>
    private static Tensor Waves(long[] shape)
    {
        int grid = (int)Math.Round(Math.Sqrt(shape[0] - 1)),
            width = (int)shape[1],
            frequencies = width / 4;
        var waves = new float[shape[0] * width];
        for (int place = 0; place < grid * grid; place++)
        for (int f = 0; f < frequencies; f++)
        {
            double frequency = Math.Pow(10_000, -(double)f / frequencies),
                row = place / grid * frequency,
                column = place % grid * frequency;
            Span<float> at = waves.AsSpan((place + 1) * width + 4 * f, 4);
            (at[0], at[1], at[2], at[3]) = ((float)Math.Sin(row), (float)Math.Cos(row), (float)Math.Sin(column), (float)Math.Cos(column));
        }
        return TorchSharp.torch.tensor(waves, shape).Times(0.3);
    }
}
