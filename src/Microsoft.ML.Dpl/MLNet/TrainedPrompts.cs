using Microsoft.ML.Dpl.Clip;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>The tensors a fit leaves behind, on the CPU; a few hundred KiB. Owns them.</summary>
/// <param name="Image">One [length, width] per image layer, null where the length is 0.</param>
/// <param name="Text">The same for the text layers.</param>
/// <param name="ClassFeatures">[classes, embedding], unit rows</param>
/// <param name="LogitScale">The factor on cosine similarities.</param>
internal sealed record TrainedPrompts(IReadOnlyList<Tensor?> Image, IReadOnlyList<Tensor?> Text, Tensor ClassFeatures, double LogitScale) : IDisposable
{
    private const string ClassFeaturesName = "class_features", LogitScaleName = "logit_scale";

    /// <summary>Writes a safetensors stream: image.{layer}, text.{layer}, class_features, logit_scale.</summary>
    public void Write(Stream stream)
    {
        var tensors = new Dictionary<string, Tensor> { [ClassFeaturesName] = ClassFeatures };
        Add("image", Image);
        Add("text", Text);
        using Tensor scale = tensor(LogitScale, ScalarType.Float64);
        tensors[LogitScaleName] = scale;
        SafetensorsWriter.Write(stream, tensors);

        void Add(string branch, IReadOnlyList<Tensor?> layers)
        {
            for (int layer = 0; layer < layers.Count; layer++)
                if (layers[layer] is { } rows) tensors[$"{branch}.{layer}"] = rows;
        }
    }

    /// <summary>Reads what <see cref="Write"/> wrote, and checks every shape against what the model and the backbone say.</summary>
    /// <param name="stream">The entry of the model zip.</param>
    /// <param name="name">For messages.</param>
    /// <param name="imageLengths">Context length per image layer.</param>
    /// <param name="textLengths">Context length per text layer.</param>
    /// <param name="classes">How many there are.</param>
    /// <param name="config">The backbone's shape.</param>
    /// <exception cref="InvalidDataException">A tensor is missing, has another shape or holds what is no finite number.</exception>
    public static TrainedPrompts Read(Stream stream, string name, IReadOnlyList<int> imageLengths, IReadOnlyList<int> textLengths, int classes, ClipConfig config)
    {
        using var scope = NewDisposeScope();
        using SafetensorsFile file = SafetensorsFile.FromStream(stream, name);
        Tensor ReadAs(string tensorName, params long[] shape)
        {
            if (!file.Entries.TryGetValue(tensorName, out TensorEntry? entry)) throw new InvalidDataException($"{name} has no tensor '{tensorName}'. Save the model again.");
            if (!entry.Shape.SequenceEqual(shape))
                throw new InvalidDataException($"{name}: tensor '{tensorName}' is [{string.Join(", ", entry.Shape)}], but the model's description and backbone ask for [{string.Join(", ", shape)}].");
            Tensor values = file.Read(tensorName).to_type(shape.Length == 0 ? ScalarType.Float64 : ScalarType.Float32);
            FiniteWeights.Require(name, tensorName, values);
            return values;
        }
        Tensor?[] Layers(string branch, IReadOnlyList<int> lengths, int width) => [.. lengths.Select((length, layer) => length == 0 ? null : ReadAs($"{branch}.{layer}", length, width))];

        var read = new TrainedPrompts(
            Layers("image", imageLengths, config.Vision.Width),
            Layers("text", textLengths, config.Text.Width),
            ReadAs(ClassFeaturesName, classes, config.EmbeddingWidth),
            ReadAs(LogitScaleName).item<double>());
        // Only now: where a later tensor is refused, the scope frees the earlier ones.
        foreach (Tensor? rows in read.Image.Concat(read.Text).Append(read.ClassFeatures)) rows?.DetachFromDisposeScope();
        return read;
    }

    public void Dispose()
    {
        foreach (Tensor? rows in Image.Concat(Text)) rows?.Dispose();
        ClassFeatures.Dispose();
    }
}
