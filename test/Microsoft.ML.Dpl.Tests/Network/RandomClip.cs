using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Network;

/// <summary>A CLIP of any small shape with seeded random weights, under OpenAI's parameter names.</summary>
internal sealed class RandomClip : ITensorSource
{
    private readonly Dictionary<string, Tensor> _tensors = [];

    public RandomClip(ClipConfig config, int seed)
    {
        LibTorch.EnsureLoaded();
        Config = config;
        using Generator generator = Seeds.Generator(seed, "random clip");
        void Add(string name, double deviation, double mean, params long[] shape) =>
            _tensors[name] = (randn(shape, generator: generator) * deviation + mean).DetachFromDisposeScope();
        void Norm(string name, int width)
        {
            Add(name + ".weight", 0.1, 1, width);
            Add(name + ".bias", 0.1, 0, width);
        }
        void Blocks(string prefix, ClipTransformerConfig branch)
        {
            int width = branch.Width,
                mlp = branch.MlpWidth;
            for (int layer = 0; layer < branch.Layers; layer++)
            {
                string block = $"{prefix}.resblocks.{layer}.";
                Norm(block + "ln_1", width);
                Norm(block + "ln_2", width);
                Add(block + "attn.in_proj_weight", 1 / Math.Sqrt(width), 0, 3 * width, width);
                Add(block + "attn.in_proj_bias", 0.1, 0, 3 * width);
                Add(block + "attn.out_proj.weight", 1 / Math.Sqrt(width), 0, width, width);
                Add(block + "attn.out_proj.bias", 0.1, 0, width);
                Add(block + "mlp.c_fc.weight", 1 / Math.Sqrt(width), 0, mlp, width);
                Add(block + "mlp.c_fc.bias", 0.1, 0, mlp);
                Add(block + "mlp.c_proj.weight", 1 / Math.Sqrt(mlp), 0, width, mlp);
                Add(block + "mlp.c_proj.bias", 0.1, 0, width);
            }
        }

        int image = config.Image.Width,
            text = config.Text.Width;
        Add("visual.conv1.weight", 0.1, 0, image, 3, config.PatchSize, config.PatchSize);
        Add("visual.class_embedding", 1, 0, image);
        Add("visual.positional_embedding", 0.5, 0, 1 + config.Grid * config.Grid, image);
        Norm("visual.ln_pre", image);
        Blocks("visual.transformer", config.Image);
        Norm("visual.ln_post", image);
        Add("visual.proj", 1 / Math.Sqrt(image), 0, image, config.EmbeddingWidth);
        Add("token_embedding.weight", 0.5, 0, config.VocabularySize, text);
        Add("positional_embedding", 0.2, 0, config.ContextLength, text);
        Blocks("transformer", config.Text);
        Norm("ln_final", text);
        Add("text_projection", 1 / Math.Sqrt(text), 0, text, config.EmbeddingWidth);
        Add("logit_scale", 0, 2);

        Entries = _tensors.ToDictionary(t => t.Key, t => new TensorEntry(t.Key, t.Value.dtype.InFile(), t.Value.shape));
        Image = ClipWeightsReader.ReadImageTower(this, ClipNaming.OpenAI, config, CPU);
        Text = ClipWeightsReader.ReadTextTower(this, ClipNaming.OpenAI, config, CPU);
    }

    public ClipConfig Config { get; }
    public ImageWeights Image { get; }
    public TextWeights Text { get; }
    public string Location => "random weights";
    public IReadOnlyDictionary<string, TensorEntry> Entries { get; }
    public IReadOnlyDictionary<string, string> Metadata { get; } = new Dictionary<string, string>();

    public Tensor Read(string name) => _tensors[name].clone();

    public static ClipConfig Shape(
        int imageSize = 20,
        int patch = 5,
        int imageLayers = 3,
        int imageWidth = 24,
        int imageHeads = 3,
        int textLayers = 2,
        int textWidth = 32,
        int textHeads = 2,
        ClipActivation activation = ClipActivation.QuickGelu
    ) =>
        new()
        {
            EmbeddingWidth = 16,
            Text = Tower(textLayers, textWidth, textHeads, 4 * textWidth, activation),
            ContextLength = 24,
            VocabularySize = 50,
            Image = Tower(imageLayers, imageWidth, imageHeads, 3 * imageWidth, activation),
            ImageSize = imageSize,
            PatchSize = patch,
        };

    /// <summary>The shape of a tower with LayerNorm's usual epsilon.</summary>
    public static ClipTransformerConfig Tower(int layers, int width, int heads, int mlpWidth, ClipActivation activation) =>
        new()
        {
            Layers = layers,
            Width = width,
            Heads = heads,
            MlpWidth = mlpWidth,
            Activation = activation,
            NormEpsilon = 1e-5,
        };

    /// <summary>Texts of different lengths with a common prefix; the start token is 48, the end token 49.</summary>
    public int[][] RandomTexts(int classes, int shared, int longest, int seed)
    {
        Random random = Seeds.Random(seed, "texts");
        int[] beginning = [48, .. Enumerable.Range(1, Math.Max(0, shared - 1)).Select(_ => random.Next(48))];
        return
        [
            .. Enumerable
                .Range(0, classes)
                .Select(c => (int[])[.. beginning, c % 48, .. Enumerable.Range(0, random.Next(longest)).Select(_ => random.Next(48)), 49]),
        ];
    }

    public void Dispose()
    {
        Image.Dispose();
        Text.Dispose();
        foreach (Tensor tensor in _tensors.Values)
            tensor.Dispose();
    }
}
