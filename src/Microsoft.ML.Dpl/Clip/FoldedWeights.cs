using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>
/// Stores the weights of a tower as they are used in computation, float32 with the constants of <see cref="BlockWeights"/> folded in, as a
/// safetensors stream; unfolding and folding again would not reproduce the same bits. The names are OpenAI's; the metadata states that the
/// values are folded.
/// </summary>
internal static class FoldedWeights
{
    private const string Patches = "visual.conv1.weight",
        LogitScale = "logit_scale",
        LogitFactor = "logit_factor",
        Mark = "folded";

    private const string Folding =
        "Queries are divided by the root of a head's width; for quick GELU c_fc is multiplied and c_proj.weight divided by 1.702.";

    private static readonly string[] BlockParts =
    [
        "ln_1.weight",
        "ln_1.bias",
        "attn.in_proj_weight",
        "attn.in_proj_bias",
        "attn.out_proj.weight",
        "attn.out_proj.bias",
        "ln_2.weight",
        "ln_2.bias",
        "mlp.c_fc.weight",
        "mlp.c_fc.bias",
        "mlp.c_proj.weight",
        "mlp.c_proj.bias",
    ];

    /// <summary>Writes the weights, which may be on any device, without copying them all at once.</summary>
    public static void Write(Stream stream, ImageWeights weights) => Write(stream, Named(weights));

    /// <summary>The image tower's tensors by their names in the stream; the tower still owns them.</summary>
    public static IEnumerable<KeyValuePair<string, Tensor>> Named(ImageWeights weights) =>
        ImageNames(weights.Config).Zip(weights.Tensors, KeyValuePair.Create);

    /// <summary>The text tower's tensors by their names in the stream; the tower still owns them.</summary>
    public static IEnumerable<KeyValuePair<string, Tensor>> Named(TextWeights weights) =>
        TextNames(weights.Config).Zip(weights.Tensors, KeyValuePair.Create);

    /// <inheritdoc cref="Write(Stream, ImageWeights)"/>
    public static void Write(Stream stream, TextWeights weights)
    {
        using Tensor factor = tensor(weights.LogitScale, ScalarType.Float64);
        Write(stream, Named(weights).Append(KeyValuePair.Create(LogitFactor, factor)));
    }

    /// <summary>Reads the tower to the CPU, each tensor directly into its final memory. The caller owns the result, not a dispose
    /// scope.</summary>
    /// <param name="stream">The stream, which is read to its end.</param>
    /// <param name="location">The stream's name, for error messages.</param>
    /// <param name="config">The model's configuration.</param>
    /// <exception cref="InvalidDataException">The stream is damaged, or belongs to a CLIP of a different shape.</exception>
    /// <exception cref="EndOfStreamException">The stream ends too early.</exception>
    public static ImageWeights ReadImageTower(Stream stream, string location, ClipConfig config)
    {
        Dictionary<string, Tensor> tensors = Read(stream, location, ClipLayout.Image(config), []);
        return ImageWeights.FromTensors(config, [.. ImageNames(config).Select(name => tensors[name])]);
    }

    /// <inheritdoc cref="ReadImageTower"/>
    public static TextWeights ReadTextTower(Stream stream, string location, ClipConfig config)
    {
        Dictionary<string, Tensor> tensors = Read(stream, location, TextLayout(config), [LogitFactorEntry]);
        using Tensor factor = tensors[LogitFactor];
        var weights = TextWeights.FromTensors(config, [.. TextNames(config).Select(name => tensors[name])], factor.item<double>());
        try
        {
            RequireLogitFactor(location, weights.LogitScale);
            return weights;
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    private static void Write(Stream stream, IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        Dictionary<string, Tensor> all = new(tensors, StringComparer.Ordinal);
        SafetensorsWriter.Write(
            stream,
            all,
            new Dictionary<string, string> { [Mark] = Folding, [TensorDigest.Name] = TensorDigest.Compute(all) }
        );
    }

    /// <summary>Reads the image tower without libtorch.</summary>
    /// <returns>Arrays by their names in <see cref="ClipLayout.Image"/>; the patch convolution is a matrix.</returns>
    /// <inheritdoc cref="ReadImageTower"/>
    public static IReadOnlyDictionary<string, FloatArray> ReadImageTowerArrays(Stream stream, string location, ClipConfig config) =>
        ReadArrays(stream, location, ClipLayout.Image(config), []).Arrays;

    /// <summary>Reads the text tower without libtorch.</summary>
    /// <returns>Arrays by their names in <see cref="ClipLayout.Text"/>, without the logit scale.</returns>
    /// <inheritdoc cref="ReadImageTower"/>
    public static IReadOnlyDictionary<string, FloatArray> ReadTextArrays(Stream stream, string location, ClipConfig config)
    {
        var (arrays, others) = ReadArrays(stream, location, TextLayout(config), [LogitFactorEntry]);
        RequireLogitFactor(location, BitConverter.ToDouble(others[LogitFactor]));
        return arrays;
    }

    private static (Dictionary<string, FloatArray> Arrays, Dictionary<string, byte[]> All) ReadArrays(
        Stream stream,
        string location,
        IEnumerable<ExpectedTensor> layout,
        TensorEntry[] more
    )
    {
        TensorEntry[] floats = Expected(layout),
            expected = [.. floats, .. more];
        string digest = "";
        Dictionary<string, byte[]> numbers = SafetensorsStream.ReadBytes(stream, location, header =>
            digest = Check(header, location, expected)
        );
        RequireDigest(location, TensorDigest.Compute(numbers), digest);
        var arrays = new Dictionary<string, FloatArray>(StringComparer.Ordinal);
        foreach (TensorEntry tensor in floats)
        {
            var array = new FloatArray(numbers[tensor.Name], [.. tensor.Shape]);
            FiniteWeights.Require(location, tensor.Name, array.Values);
            arrays.Add(tensor.Name, array);
        }
        return (arrays, numbers);
    }

    private static Dictionary<string, Tensor> Read(Stream stream, string location, IEnumerable<ExpectedTensor> layout, TensorEntry[] more)
    {
        LibTorch.EnsureLoaded();
        TensorEntry[] expected = [.. Expected(layout), .. more];
        string digest = "";
        Dictionary<string, Tensor> tensors = SafetensorsStream.Read(stream, location, header => digest = Check(header, location, expected));
        try
        {
            RequireDigest(location, TensorDigest.Compute(tensors), digest);
            foreach (var (name, values) in tensors)
                FiniteWeights.Require(location, name, values);
            return tensors;
        }
        catch
        {
            foreach (Tensor tensor in tensors.Values)
                tensor.Dispose();
            throw;
        }
    }

    private static TensorEntry LogitFactorEntry => new(LogitFactor, ElementType.Float64, []);

    private static IEnumerable<ExpectedTensor> TextLayout(ClipConfig config) => ClipLayout.Text(config).Where(t => t.Name != LogitScale);

    private static void RequireLogitFactor(string location, double factor)
    {
        if (!double.IsFinite(factor) || factor <= 0)
            throw new InvalidDataException($"{location}: tensor '{LogitFactor}' is {factor}, which cannot scale logits.");
    }

    private static TensorEntry[] Expected(IEnumerable<ExpectedTensor> layout) =>
        [.. layout.Select(t => new TensorEntry(t.Name, ElementType.Float32, StoredShape(t)))];

    /// <returns>The digest stored in the header.</returns>
    private static string Check(SafetensorsHeader header, string location, TensorEntry[] expected)
    {
        if (!header.Metadata.ContainsKey(Mark) || !header.Metadata.TryGetValue(TensorDigest.Name, out string? digest))
            throw new InvalidDataException(
                $"{location}: the metadata lack '{Mark}' or '{TensorDigest.Name}', so these are not the weights that a model zip "
                    + "carries."
            );
        foreach (TensorEntry tensor in expected)
        {
            if (!header.Entries.TryGetValue(tensor.Name, out TensorEntry? entry))
                throw new InvalidDataException($"{location}: there is no tensor '{tensor.Name}'.");
            if (entry.Type != tensor.Type || !entry.Shape.SequenceEqual(tensor.Shape))
                throw new InvalidDataException(
                    $"{location}: tensor '{tensor.Name}' is {SafetensorsType.NameOf(entry.Type)} [{string.Join(", ", entry.Shape)}], but "
                        + $"the configuration requires {SafetensorsType.NameOf(tensor.Type)} [{string.Join(", ", tensor.Shape)}]."
                );
        }
        return header.Entries.Count == expected.Length
            ? digest
            : throw new InvalidDataException(
                $"{location}: there are {header.Entries.Count} tensors, but the configuration requires {expected.Length}."
            );
    }

    private static void RequireDigest(string location, string computed, string kept)
    {
        if (computed != kept)
            throw new InvalidDataException(
                $"{location}: the weights do not match the SHA-256 saved with them, so they are damaged. Copy or save the model again."
            );
    }

    // The patch convolution is stored as a matrix.
    private static IReadOnlyList<long> StoredShape(ExpectedTensor tensor) =>
        tensor.Name == Patches ? [tensor.Shape[0], tensor.Shape.Skip(1).Aggregate((a, b) => a * b)] : tensor.Shape;

    // In the order of ImageWeights.Tensors.
    private static IEnumerable<string> ImageNames(ClipConfig config) =>
        Blocks(ClipLayout.ImageBlocks, config.Image.Layers)
            .Concat([
                Patches,
                "visual.class_embedding",
                "visual.positional_embedding",
                "visual.ln_pre.weight",
                "visual.ln_pre.bias",
                "visual.ln_post.weight",
                "visual.ln_post.bias",
                "visual.proj",
            ]);

    // In the order of TextWeights.Tensors.
    private static IEnumerable<string> TextNames(ClipConfig config) =>
        Blocks(ClipLayout.TextBlocks, config.Text.Layers)
            .Concat(["token_embedding.weight", "positional_embedding", "ln_final.weight", "ln_final.bias", "text_projection"]);

    private static IEnumerable<string> Blocks(string prefix, int layers) =>
        Enumerable.Range(0, layers).SelectMany(layer => BlockParts.Select(part => $"{prefix}{layer}.{part}"));
}
