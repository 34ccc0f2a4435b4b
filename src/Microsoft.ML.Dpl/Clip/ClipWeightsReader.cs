using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Reads the towers of a CLIP from a checkpoint, each without reading the other, and folds in the constants described in
/// <see cref="BlockWeights"/>.</summary>
internal static class ClipWeightsReader
{
    /// <summary>Checks names, types and shapes of both towers; reads no tensor.</summary>
    /// <exception cref="InvalidDataException">Tensors are missing, or their shape or type differs from
    /// <paramref name="config"/>.</exception>
    public static void Check(ITensorSource source, ClipNaming naming, ClipConfig config)
    {
        _ = new ClipCheckpoint(source, naming, ClipLayout.Image(config).Concat(ClipLayout.Text(config)));
        RefuseFurtherLayers(source, naming, ClipLayout.ImageBlocks, config.Image);
        RefuseFurtherLayers(source, naming, ClipLayout.TextBlocks, config.Text);
    }

    /// <summary>Reads the image tower. The caller owns the result, not a dispose scope.</summary>
    /// <exception cref="InvalidDataException">Tensors are missing, or their shape or type differs from
    /// <paramref name="config"/>.</exception>
    public static ImageWeights ReadImageTower(ITensorSource source, ClipNaming naming, ClipConfig config, Device device)
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        // The weights are shared, and tensors created in the caller's inference mode could not be used in a backward pass.
        using var ordinary = inference_mode(false);
        using var noGradients = no_grad();
        var checkpoint = new ClipCheckpoint(source, naming, ClipLayout.Image(config));
        Tensor Take(string name) => checkpoint.Read(name).to(device);
        Tensor patches = Take("visual.conv1.weight");
        var weights = new ImageWeights(
            config,
            patches.reshape(patches.shape[0], -1),
            Take("visual.class_embedding"),
            Take("visual.positional_embedding"),
            Take("visual.ln_pre.weight"),
            Take("visual.ln_pre.bias"),
            ReadBlocks(checkpoint, ClipLayout.ImageBlocks, config.Image, device),
            Take("visual.ln_post.weight"),
            Take("visual.ln_post.bias"),
            Take("visual.proj")
        );
        foreach (Tensor tensor in weights.Tensors)
            tensor.DetachFromDisposeScope();
        return weights;
    }

    /// <summary>Reads the text tower. The caller owns the result, not a dispose scope.</summary>
    /// <exception cref="InvalidDataException">Tensors are missing, or their shape or type differs from <paramref name="config"/>, or the
    /// logit scale is not a usable number.</exception>
    public static TextWeights ReadTextTower(ITensorSource source, ClipNaming naming, ClipConfig config, Device device)
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

    // A configuration with too few layers would otherwise silently give a different, worse model.
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
        qkvWeight.narrow(0, 0, config.Width).OverInPlace(queryDivisor);
        qkvBias.narrow(0, 0, config.Width).OverInPlace(queryDivisor);
        upWeight.TimesInPlace(factor);
        upBias.TimesInPlace(factor);
        downWeight.OverInPlace(factor);
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

/// <summary>A checkpoint whose tensors have been checked against a configuration; tensors are read by OpenAI's names, whatever names the
/// checkpoint uses.</summary>
internal sealed class ClipCheckpoint
{
    private const int NamedAtMost = 5;

    private readonly ITensorSource _source;
    private readonly ClipNaming _naming;
    private readonly Dictionary<string, ExpectedTensor> _expected;

    /// <summary>Checks names, types and shapes of <paramref name="expected"/>; reads no tensor.</summary>
    /// <exception cref="InvalidDataException">Tensors are missing, or their shape or type is wrong.</exception>
    public ClipCheckpoint(ITensorSource source, ClipNaming naming, IEnumerable<ExpectedTensor> expected)
    {
        (_source, _naming) = (source, naming);
        _expected = expected.ToDictionary(e => e.Name);
        RefuseResNet(source);
        RefuseMissing();
        foreach (ExpectedTensor tensor in _expected.Values)
            Check(tensor);
    }

    /// <summary>Rejects CLIPs with a ResNet, OpenAI's other kind of image tower.</summary>
    /// <exception cref="InvalidDataException">The image tower is a ResNet.</exception>
    public static void RefuseResNet(ITensorSource source)
    {
        if (
            source.Entries.Keys.Any(n =>
                n.StartsWith("visual.layer1.", StringComparison.Ordinal) || n.StartsWith("visual.attnpool.", StringComparison.Ordinal)
            )
        )
            throw new InvalidDataException(
                $"{source.Location}: this CLIP's image tower is a ResNet; only vision transformers are supported, such as ViT-B/16."
            );
    }

    /// <summary>Reads one tensor as float32 to the CPU, contiguous and with OpenAI's shape, in the caller's dispose scope.</summary>
    /// <exception cref="InvalidDataException">A value is infinite or NaN.</exception>
    public Tensor Read(string name)
    {
        ExpectedTensor expected = _expected[name];
        StoredTensor stored = _naming.Locate(expected);
        using var scope = NewDisposeScope();
        Tensor[] parts = [.. stored.Names.Select(Finite)];
        Tensor tensor = parts.Length == 1 ? parts[0] : cat(parts);
        if (stored.Transposed)
            tensor = tensor.t();
        return tensor.reshape([.. expected.Shape]).contiguous().MoveToOuterDisposeScope();
    }

    private Tensor Finite(string stored)
    {
        Tensor values = _source.Read(stored).to(ScalarType.Float32);
        FiniteWeights.Require(_source.Location, stored, values);
        return values;
    }

    private void RefuseMissing()
    {
        string[] missing = [.. _expected.Values.SelectMany(e => _naming.Locate(e).Names).Where(n => !_source.Entries.ContainsKey(n))];
        if (missing.Length == 0)
            return;
        string more = missing.Length > NamedAtMost ? $" and {missing.Length - NamedAtMost} more" : "";
        throw new InvalidDataException(
            $"{_source.Location}: {missing.Length} tensors of this CLIP are missing: "
                + $"{string.Join(", ", missing.Take(NamedAtMost))}{more}. Is it another model, or a part of one?"
        );
    }

    private void Check(ExpectedTensor expected)
    {
        StoredTensor stored = _naming.Locate(expected);
        foreach (TensorEntry entry in stored.Names.Select(n => _source.Entries[n]))
        {
            if (entry.Type is not (ElementType.Float32 or ElementType.Float16 or ElementType.BFloat16))
                throw new InvalidDataException(
                    $"{_source.Location}: tensor '{entry.Name}' is {SafetensorsType.NameOf(entry.Type)}; weights must be F32, F16 or BF16."
                );
            // A scalar may be stored with or without an axis.
            bool fits = expected.Shape.Count == 0 ? entry.Shape.All(s => s == 1) : entry.Shape.SequenceEqual(stored.PartShape);
            if (!fits)
                throw new InvalidDataException(
                    $"{_source.Location}: tensor '{entry.Name}' has shape [{string.Join(", ", entry.Shape)}], but should have "
                        + $"[{string.Join(", ", stored.PartShape)}]; {_naming.Explain(expected)}."
                );
        }
    }
}

/// <summary>Rejects weights that are not finite when they are read, because later only the loss would reveal them.</summary>
internal static class FiniteWeights
{
    /// <param name="location">The file, for the error message.</param>
    /// <param name="name">The tensor's name in the file.</param>
    /// <param name="values">The tensor, float32 or float64, of any shape.</param>
    /// <exception cref="InvalidDataException">A value is infinite or NaN.</exception>
    public static void Require(string location, string name, Tensor values)
    {
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();
        // A non-finite value makes the sum non-finite, and a sum takes one pass and no temporary tensor of the same size. Because a sum of
        // finite values can overflow too, the values are then counted.
        if (double.IsFinite(values.sum().to_type(ScalarType.Float64).item<double>()))
            return;
        long notNumbers = values.isnan().sum().item<long>(),
            infinite = values.isinf().sum().item<long>();
        Refuse(location, name, notNumbers, infinite, values.NumberOfElements);
    }

    /// <inheritdoc cref="Require(string, string, Tensor)"/>
    public static void Require(string location, string name, ReadOnlySpan<float> values)
    {
        if (float.IsFinite(TensorPrimitives.Sum(values)))
            return;
        long notNumbers = 0,
            infinite = 0;
        foreach (float value in values)
        {
            if (float.IsNaN(value))
                notNumbers++;
            else if (float.IsInfinity(value))
                infinite++;
        }
        Refuse(location, name, notNumbers, infinite, values.Length);
    }

    private static void Refuse(string location, string name, long notNumbers, long infinite, long count)
    {
        if (notNumbers + infinite == 0)
            return;
        throw new InvalidDataException(
            $"{location}: tensor '{name}' has {notNumbers} values that are not numbers (NaN) and {infinite} that are infinite, of "
                + $"{count}. "
                + "The file is damaged, or its weights overflowed when they were converted to half precision (F16 ends at 65504): get "
                + "it again, or convert it again from float32 weights."
        );
    }
}
