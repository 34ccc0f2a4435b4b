using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>A checkpoint whose tensors have been held against a configuration, read under OpenAI's names whatever its own are.</summary>
internal sealed class ClipCheckpoint
{
    private const int NamedAtMost = 5;

    private readonly ITensorSource _source;
    private readonly ClipNaming _naming;
    private readonly Dictionary<string, ExpectedTensor> _expected;

    /// <summary>Checks names, types and shapes of <paramref name="expected"/>; reads no tensor.</summary>
    /// <exception cref="InvalidDataException">Tensors are missing, or have another shape or type.</exception>
    public ClipCheckpoint(ITensorSource source, ClipNaming naming, IEnumerable<ExpectedTensor> expected)
    {
        (_source, _naming) = (source, naming);
        _expected = expected.ToDictionary(e => e.Name);
        RefuseResNet(source);
        RefuseMissing();
        foreach (ExpectedTensor tensor in _expected.Values)
            Check(tensor);
    }

    /// <summary>Refuses OpenAI's other kind of CLIP.</summary>
    /// <exception cref="InvalidDataException">The image branch is a ResNet.</exception>
    public static void RefuseResNet(ITensorSource source)
    {
        if (
            source.Entries.Keys.Any(n =>
                n.StartsWith("visual.layer1.", StringComparison.Ordinal) || n.StartsWith("visual.attnpool.", StringComparison.Ordinal)
            )
        )
            throw new InvalidDataException(
                $"{source.Location}: this CLIP sees with a ResNet; only vision transformers are supported, such as ViT-B/16."
            );
    }

    /// <summary>One tensor as float32 on the CPU, contiguous and with OpenAI's shape, in the caller's dispose scope.</summary>
    /// <exception cref="InvalidDataException">A value is infinite or not a number.</exception>
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
            if (entry.Type is not (ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16))
                throw new InvalidDataException(
                    $"{_source.Location}: tensor '{entry.Name}' is {SafetensorsType.NameOf(entry.Type)}; weights must be F32, F16 or BF16."
                );
            // A single number is stored with or without an axis.
            bool fits = expected.Shape.Count == 0 ? entry.Shape.All(s => s == 1) : entry.Shape.SequenceEqual(stored.PartShape);
            if (!fits)
                throw new InvalidDataException(
                    $"{_source.Location}: tensor '{entry.Name}' has shape [{string.Join(", ", entry.Shape)}], but should have "
                        + $"[{string.Join(", ", stored.PartShape)}]; {_naming.Explain(expected)}."
                );
        }
    }
}
