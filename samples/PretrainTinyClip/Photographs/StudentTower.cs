using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace PretrainTinyClip.Photographs;

/// <summary>
/// CLIP's image tower over parameters in training, with two features that only training needs: it can process a subset of the patches (Li
/// et al. 2023, "FLIP", arXiv 2212.00794), and it returns the patches' final states. Matrix products may be rounded to bfloat16; the
/// residual stream, norms and attention never are.
/// </summary>
/// <param name="values">Parameters under OpenAI's names.</param>
/// <param name="config">The shape.</param>
/// <param name="products">Data type of the matrix products.</param>
internal sealed class StudentTower(IReadOnlyDictionary<string, Parameter> values, ClipConfig config, ScalarType products)
{
    private const double NormEpsilon = 1e-5;
    private const double QuickGeluFactor = 1.702;

    /// <param name="images">Normalised images, [batch, 3, size, size].</param>
    /// <param name="kept">Indices of the patches to process, [batch, patches], of type int64; null: all patches.</param>
    /// <returns>The embedding of the class token, [batch, embedding], not normalised, and the final states of the patches, [batch, patches,
    /// width], after a layer norm without weights.</returns>
    public (Tensor Embedding, Tensor Patches) Forward(Tensor images, Tensor? kept)
    {
        long batch = images.shape[0],
            grid = config.Grid,
            patch = config.PatchSize,
            width = config.Image.Width;
        Tensor patches = images
            .reshape(batch, 3, grid, patch, grid, patch)
            .permute(0, 2, 4, 1, 3, 5)
            .reshape(batch, grid * grid, 3 * patch * patch);
        Tensor positions = values["visual.positional_embedding"];
        Tensor places = positions.narrow(0, 1, grid * grid).unsqueeze(0);
        if (kept is not null)
        {
            patches = patches.gather(1, kept.unsqueeze(2).expand(-1, -1, patches.shape[2]));
            places = places.expand(batch, -1, -1).gather(1, kept.unsqueeze(2).expand(-1, -1, width));
        }
        Tensor embedded = Linear(patches, values["visual.conv1.weight"].view(width, -1), null).Plus(places);
        Tensor first = values["visual.class_embedding"].Plus(positions.narrow(0, 0, 1)).expand(batch, 1, width);
        Tensor rows = Norm(cat([first, embedded], 1), "visual.ln_pre");
        for (int layer = 0; layer < config.Image.Layers; layer++)
            rows = Block(rows, $"{ClipLayout.ImageBlocks}{layer}.", config.Image.Heads);
        Tensor embedding = Norm(rows.select(1, 0), "visual.ln_post").matmul(values["visual.proj"]);
        return (embedding, F.layer_norm(rows.narrow(1, 1, rows.shape[1] - 1), [width]));
    }

    private Tensor Block(Tensor rows, string prefix, long heads)
    {
        long batch = rows.shape[0],
            tokens = rows.shape[1],
            width = rows.shape[2];
        Tensor Part(string part) => values[prefix + part];
        Tensor stacked = Linear(Norm(rows, prefix + "ln_1"), Part("attn.in_proj_weight"), Part("attn.in_proj_bias"))
            .view(batch, tokens, 3, heads, width / heads)
            .permute(2, 0, 3, 1, 4); // [query key value, batch, heads, tokens, head width]
        Tensor attended = F.scaled_dot_product_attention(stacked[0], stacked[1], stacked[2]).transpose(1, 2).reshape(batch, tokens, width);
        rows = rows.Plus(Linear(attended, Part("attn.out_proj.weight"), Part("attn.out_proj.bias")));
        Tensor hidden = Product(Norm(rows, prefix + "ln_2"), Part("mlp.c_fc.weight"), Part("mlp.c_fc.bias"));
        hidden = hidden * hidden.Times(QuickGeluFactor).sigmoid();
        return rows.Plus(Linear(hidden, Part("mlp.c_proj.weight"), Part("mlp.c_proj.bias")));
    }

    private Tensor Norm(Tensor rows, string name) =>
        F.layer_norm(rows, [rows.shape[^1]], values[name + ".weight"], values[name + ".bias"], NormEpsilon);

    private Tensor Linear(Tensor rows, Tensor weight, Tensor? bias) => Product(rows, weight, bias).to(ScalarType.Float32);

    private Tensor Product(Tensor rows, Tensor weight, Tensor? bias) =>
        F.linear(rows.to(products), weight.to(products), bias?.to(products));
}
