using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Models;

/// <summary>The tensors a fit leaves behind, on the CPU; a few hundred KiB. Owns them.</summary>
/// <param name="Image">One [length, width] per image layer, null where the length is 0.</param>
/// <param name="Text">The same for the text layers.</param>
/// <param name="ClassFeatures">[classes, embedding], unit rows</param>
/// <param name="LogitScale">The factor on cosine similarities.</param>
internal sealed record TrainedPrompts(IReadOnlyList<Tensor?> Image, IReadOnlyList<Tensor?> Text, Tensor ClassFeatures, double LogitScale)
    : IDisposable
{
    private const string ClassFeaturesName = "class_features",
        LogitScaleName = "logit_scale";

    /// <summary>Writes a safetensors stream: image.{layer}, text.{layer}, class_features, logit_scale; the metadata keep their
    /// SHA-256.</summary>
    public void Write(Stream stream)
    {
        var tensors = new Dictionary<string, Tensor> { [ClassFeaturesName] = ClassFeatures };
        Add("image", Image);
        Add("text", Text);
        using Tensor scale = tensor(LogitScale, ScalarType.Float64);
        tensors[LogitScaleName] = scale;
        SafetensorsWriter.Write(stream, tensors, new Dictionary<string, string> { [TensorDigest.Name] = TensorDigest.Compute(tensors) });

        void Add(string branch, IReadOnlyList<Tensor?> layers)
        {
            for (int layer = 0; layer < layers.Count; layer++)
                if (layers[layer] is { } rows)
                    tensors[$"{branch}.{layer}"] = rows;
        }
    }

    /// <summary>Reads what <see cref="Write"/> wrote, and checks every shape against what the model and the backbone say, and the SHA-256
    /// where there is one: zips of earlier versions have none.</summary>
    /// <param name="stream">The entry of the model zip.</param>
    /// <param name="name">For messages.</param>
    /// <param name="imageLengths">Prompt length per image layer.</param>
    /// <param name="textLengths">Prompt length per text layer.</param>
    /// <param name="classes">How many there are.</param>
    /// <param name="config">The backbone's shape.</param>
    /// <exception cref="InvalidDataException">The stream is larger than such tensors can be or damaged, a tensor is missing, has another
    /// shape or type or holds values that are no finite numbers, or the SHA-256 is another.</exception>
    public static TrainedPrompts Read(
        Stream stream,
        string name,
        IReadOnlyList<int> imageLengths,
        IReadOnlyList<int> textLengths,
        int classes,
        ClipConfig config
    )
    {
        using var scope = NewDisposeScope();
        RequireSize(
            stream,
            name,
            (imageLengths.Sum(l => (long)l) * config.Vision.Width)
                + (textLengths.Sum(l => (long)l) * config.Text.Width)
                + ((long)classes * config.EmbeddingWidth)
                + 1
        );
        using SafetensorsFile file = SafetensorsFile.FromStream(stream, name);
        if (
            file.Metadata.TryGetValue(TensorDigest.Name, out string? digest)
            && TensorDigest.Compute(file.Entries.Keys.Select(key => KeyValuePair.Create(key, file.Read(key)))) != digest
        )
            throw new InvalidDataException(
                $"{name}: the values have another SHA-256 than at saving, so they are damaged. Copy or save the model again."
            );
        Tensor ReadAs(string tensorName, params long[] shape)
        {
            if (!file.Entries.TryGetValue(tensorName, out TensorEntry? entry))
                throw new InvalidDataException($"{name} has no tensor '{tensorName}'. Save the model again.");
            if (!entry.Shape.SequenceEqual(shape))
                throw new InvalidDataException(
                    $"{name}: tensor '{tensorName}' is [{string.Join(", ", entry.Shape)}], but the model's description and backbone "
                        + $"ask for [{string.Join(", ", shape)}]."
                );
            if (entry.Type is not (ScalarType.Float64 or ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16))
                throw new InvalidDataException(
                    $"{name}: tensor '{tensorName}' is {SafetensorsType.NameOf(entry.Type)}, but holds floating-point numbers in "
                        + "every model."
                );
            Tensor read = file.Read(tensorName);
            FiniteWeights.Require(name, tensorName, read);
            return read;
        }
        Tensor?[] Layers(string branch, IReadOnlyList<int> lengths, int width) =>
            [
                .. lengths.Select(
                    (length, layer) => length == 0 ? null : ReadAs($"{branch}.{layer}", length, width).to_type(ScalarType.Float32)
                ),
            ];

        double scale = ReadAs(LogitScaleName).to_type(ScalarType.Float64).item<double>();
        if (scale <= 0)
            throw new InvalidDataException($"{name}: tensor '{LogitScaleName}' is {scale}, which cannot scale logits.");
        var prompts = new TrainedPrompts(
            Layers("image", imageLengths, config.Vision.Width),
            Layers("text", textLengths, config.Text.Width),
            ReadAs(ClassFeaturesName, classes, config.EmbeddingWidth).to_type(ScalarType.Float32),
            scale
        );
        foreach (Tensor? tensor in prompts.Image.Concat(prompts.Text).Append(prompts.ClassFeatures))
            tensor?.DetachFromDisposeScope();
        return prompts;
    }

    // Sixteen bytes a number are twice what the widest type needs; the rest is for the header.
    private static void RequireSize(Stream stream, string name, long numbers)
    {
        const long header = 1 << 20;
        if (stream.CanSeek && stream.Length > header + 16 * numbers)
            throw new InvalidDataException(
                $"{name} of the model zip has {stream.Length} bytes, far more than the {numbers} numbers of this model take. Copy or "
                    + "save the model again."
            );
    }

    public void Dispose()
    {
        foreach (Tensor? rows in Image.Concat(Text))
            rows?.Dispose();
        ClassFeatures.Dispose();
    }
}
