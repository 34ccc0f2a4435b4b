using System.Numerics.Tensors;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.TensorFiles;

namespace Microsoft.ML.Dpl.Network;

/// <summary>The keys and values of a layer's prompts, which are constant during prediction.</summary>
/// <param name="Keys">[1, heads, rows, headWidth]</param>
/// <param name="Values">[1, heads, rows, headWidth]</param>
/// <param name="Mixture">The candidates that the rows belong to; null: a single candidate of weight 1.</param>
internal sealed record PromptArrays(FloatArray Keys, FloatArray Values, MixtureArrays? Mixture);

/// <summary><see cref="FoldedMixture"/> as arrays.</summary>
/// <param name="Plain">[] the weight of the block without prompts</param>
/// <param name="Weights">[candidates] the weights of the other candidates</param>
/// <param name="Members">[rows, candidates], 1 where a row belongs to a candidate and 0 elsewhere</param>
internal sealed record MixtureArrays(FloatArray Plain, FloatArray Weights, FloatArray Members)
{
    /// <param name="candidates">Prompt lengths of the candidates, the first 0.</param>
    /// <param name="weights">The mixture weight of each candidate.</param>
    public static MixtureArrays From(IReadOnlyList<int> candidates, IReadOnlyList<float> weights)
    {
        int count = candidates.Count - 1;
        return new MixtureArrays(
            new FloatArray(FloatArray.From([weights[0]]).Bytes),
            FloatArray.From([.. weights.Skip(1)]),
            FloatArray.Filled([candidates.Sum(), count], members =>
            {
                int row = 0;
                for (int candidate = 0; candidate < count; candidate++)
                for (int i = 0; i < candidates[candidate + 1]; i++)
                    members[row++ * count + candidate] = 1;
            })
        );
    }
}

/// <summary>
/// <see cref="FoldedImageTower"/> as arrays, from which a graph for another runtime is written, with or without libtorch.
/// </summary>
/// <param name="Config">The whole model's shape.</param>
/// <param name="Weight">Returns an array by its name in <see cref="ClipLayout.Image"/>, with the constants of <see cref="BlockWeights"/>
/// folded in; the patch convolution is a matrix. For a tower in libtorch's memory, each call returns a new copy.</param>
/// <param name="Prompts">One entry per layer; null for a layer without a prompt.</param>
internal sealed record TowerArrays(ClipConfig Config, Func<string, FloatArray> Weight, IReadOnlyList<PromptArrays?> Prompts)
{
    /// <summary>Number of tokens of an image: the class token and the patches.</summary>
    public long Tokens => 1 + (long)Config.Grid * Config.Grid;

    /// <summary>Reads from a tower, which must not be disposed while the result is in use.</summary>
    public static TowerArrays From(FoldedImageTower tower)
    {
        var tensors = FoldedWeights.Named(tower.Weights).ToDictionary(StringComparer.Ordinal);
        return new TowerArrays(
            tower.Weights.Config,
            name => FloatArray.CopyOf(tensors[name]),
            [
                .. tower.Folded.Zip(tower.Mixtures, (folded, mixture) =>
                    folded is var (keys, values)
                        ? new PromptArrays(
                            FloatArray.CopyOf(keys),
                            FloatArray.CopyOf(values),
                            mixture is null
                                ? null
                                : new MixtureArrays(
                                    FloatArray.CopyOf(mixture.Plain),
                                    FloatArray.CopyOf(mixture.Weights),
                                    FloatArray.CopyOf(mixture.Members)
                                )
                        )
                        : null
                ),
            ]
        );
    }

    /// <summary>Folds prompts into a tower as <see cref="FoldedImageTower"/> does, without libtorch.</summary>
    /// <param name="config">The whole model's shape.</param>
    /// <param name="weights">Arrays by name, as <see cref="FoldedWeights.ReadImageTowerArrays"/> returns them.</param>
    /// <param name="prompts">One [rows, width] per layer; null for a layer without a prompt.</param>
    /// <param name="mixtures">The candidates that each layer's rows belong to; null: every layer has a single candidate of weight
    /// 1.</param>
    public static TowerArrays Fold(
        ClipConfig config,
        IReadOnlyDictionary<string, FloatArray> weights,
        IReadOnlyList<FloatArray?> prompts,
        IReadOnlyList<MixtureArrays>? mixtures
    ) =>
        new(
            config,
            name => weights[name],
            [
                .. prompts.Select(
                    (rows, layer) =>
                    {
                        if (rows is null)
                            return null;
                        FloatArray Weight(string part) => weights[$"{ClipLayout.ImageBlocks}{layer}.{part}"];
                        FloatArray normed = Norm(rows, Weight("ln_1.weight"), Weight("ln_1.bias"), config.Image.NormEpsilon);
                        FloatArray Part(int part) =>
                            Heads(
                                normed,
                                Weight("attn.in_proj_weight").Rows(part * config.Image.Width, config.Image.Width),
                                Weight("attn.in_proj_bias").Rows(part * config.Image.Width, config.Image.Width),
                                config.Image.Heads
                            );
                        return new PromptArrays(Part(1), Part(2), mixtures?[layer]);
                    }
                ),
            ]
        );

    private static FloatArray Norm(FloatArray rows, FloatArray weight, FloatArray bias, double epsilon) =>
        FloatArray.Filled(rows.Shape, to =>
        {
            int width = (int)rows.Shape[1];
            for (int start = 0; start < to.Length; start += width)
            {
                ReadOnlySpan<float> row = rows.Values.Slice(start, width);
                double mean = 0,
                    square = 0;
                foreach (float value in row)
                    mean += value;
                mean /= width;
                foreach (float value in row)
                    square += (value - mean) * (value - mean);
                double factor = 1 / Math.Sqrt(square / width + epsilon);
                for (int i = 0; i < width; i++)
                    to[start + i] = (float)((row[i] - mean) * factor * weight.Values[i] + bias.Values[i]);
            }
        });

    /// <summary>[n, width] times [width, width] and a bias, as [1, heads, n, headWidth].</summary>
    private static FloatArray Heads(FloatArray rows, FloatArray weight, FloatArray bias, int heads)
    {
        int count = (int)rows.Shape[0],
            width = (int)rows.Shape[1],
            headWidth = width / heads;
        return FloatArray.Filled([1, heads, count, headWidth], to =>
        {
            for (int row = 0; row < count; row++)
            for (int output = 0; output < width; output++)
                to[(output / headWidth * count + row) * headWidth + output % headWidth] =
                    TensorPrimitives.Dot(rows.Values.Slice(row * width, width), weight.Values.Slice(output * width, width))
                    + bias.Values[output];
        });
    }
}

/// <summary><see cref="FoldedClassifier"/> as arrays.</summary>
/// <param name="Tower">The image tower.</param>
/// <param name="ClassFeatures">[classes, embedding], unit rows</param>
/// <param name="LogitScale">The factor by which cosine similarities are multiplied.</param>
internal sealed record ClassifierArrays(TowerArrays Tower, FloatArray ClassFeatures, double LogitScale)
{
    /// <inheritdoc cref="TowerArrays.From"/>
    public static ClassifierArrays From(FoldedClassifier classifier) =>
        new(TowerArrays.From(classifier.Tower), FloatArray.CopyOf(classifier.ClassFeatures), classifier.LogitScale);
}

/// <summary>The plain text tower as arrays, from which a graph for another runtime is written, with or without libtorch.</summary>
/// <param name="Config">The whole model's shape.</param>
/// <param name="Weight">Returns an array by its name in <see cref="ClipLayout.Text"/>, with the constants of <see cref="BlockWeights"/>
/// folded in; the logit scale is not included. For a tower in libtorch's memory, each call returns a new copy.</param>
internal sealed record TextTowerArrays(ClipConfig Config, Func<string, FloatArray> Weight)
{
    /// <summary>Reads from a tower, which must not be disposed while the result is in use.</summary>
    public static TextTowerArrays From(TextWeights weights)
    {
        var tensors = FoldedWeights.Named(weights).ToDictionary(StringComparer.Ordinal);
        return new TextTowerArrays(weights.Config, name => FloatArray.CopyOf(tensors[name]));
    }
}
