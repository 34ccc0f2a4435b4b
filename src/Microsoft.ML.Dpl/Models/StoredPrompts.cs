using System.Runtime.InteropServices;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.TensorFiles;

namespace Microsoft.ML.Dpl.Models;

/// <summary>The prompts in the form that <see cref="TrainedPrompts.Write"/> writes, read without libtorch.</summary>
/// <param name="Text">One [length, width] per text layer, null where the length is 0; for a mixture, [Σ candidates, width].</param>
/// <param name="Image">As <paramref name="Text"/>, for the image layers.</param>
/// <param name="Mixture">The candidates and their weights; null for fixed lengths.</param>
/// <param name="Context">[vectors, text width] the learned context; null if there is none.</param>
/// <param name="TaskResidual">[classes, embedding] offsets added to the unit-norm text features; null if there are none.</param>
/// <param name="ClassFeatures">[classes, embedding], rows of unit norm</param>
/// <param name="LogitScale">The factor on cosine similarities.</param>
internal sealed record StoredPrompts(
    IReadOnlyList<FloatArray?> Text,
    IReadOnlyList<FloatArray?> Image,
    TrainedMixture? Mixture,
    FloatArray? Context,
    FloatArray? TaskResidual,
    FloatArray ClassFeatures,
    double LogitScale
)
{
    public const string ContextName = "context",
        TaskResidualName = "task_residual",
        ClassFeaturesName = "class_features",
        LogitScaleName = "logit_scale",
        ImageName = "image",
        TextName = "text";

    /// <summary>Reads the prompts and checks every shape against the model's description and the backbone, and the SHA-256 if there is one
    /// (zips of earlier versions have none).</summary>
    /// <param name="stream">The entry of the model zip.</param>
    /// <param name="name">The entry's name, for error messages.</param>
    /// <param name="lengths">Prompt length of each layer; for a mixture, the length of the candidate with the largest weight.</param>
    /// <param name="candidates">Prompt lengths of the mixture's candidates, increasing from 0; null for fixed lengths.</param>
    /// <param name="context">Layout of the learned context in the text tower's input; null if there is none.</param>
    /// <param name="classes">The number of classes.</param>
    /// <param name="config">The backbone's configuration.</param>
    /// <exception cref="InvalidDataException">The stream is damaged or larger than these tensors can be; a tensor is missing, has the wrong
    /// shape or type, or holds values that are not finite; the mixture weights are invalid or contradict the lengths; or the SHA-256 does
    /// not match.</exception>
    /// <exception cref="EndOfStreamException">The stream ends too early.</exception>
    public static StoredPrompts Read(
        Stream stream,
        string name,
        PromptConfiguration lengths,
        IReadOnlyList<int>? candidates,
        ContextLayout? context,
        int classes,
        ClipConfig config
    )
    {
        long Numbers(IReadOnlyList<int> layers, int width) =>
            candidates is null
                ? layers.Sum(l => (long)l) * width
                : layers.Count * (candidates.Sum(l => (long)l) * width + candidates.Count);
        RequireSize(
            stream,
            name,
            Numbers(lengths.Text, config.Text.Width)
                + Numbers(lengths.Image, config.Image.Width)
                + (2L * classes * config.EmbeddingWidth)
                + (long)(context?.VectorCount(classes) ?? 0) * config.Text.Width
                + 1
        );
        SafetensorsHeader? header = null;
        Dictionary<string, byte[]> numbers = SafetensorsStream.ReadBytes(stream, name, read => header = read);
        if (header!.Metadata.TryGetValue(TensorDigest.Name, out string? digest) && TensorDigest.Compute(numbers) != digest)
            throw new InvalidDataException(
                $"{name}: the values do not match the SHA-256 saved with them, so they are damaged. Copy or save the model again."
            );
        TensorEntry Require(string tensorName, params long[] shape)
        {
            if (!header.Entries.TryGetValue(tensorName, out TensorEntry? entry))
                throw new InvalidDataException($"{name} has no tensor '{tensorName}'. Save the model again.");
            if (!entry.Shape.SequenceEqual(shape))
                throw new InvalidDataException(
                    $"{name}: tensor '{tensorName}' is [{string.Join(", ", entry.Shape)}], but the model's description and backbone "
                        + $"require [{string.Join(", ", shape)}]."
                );
            if (entry.Type is not (ElementType.Float64 or ElementType.Float32 or ElementType.Float16 or ElementType.BFloat16))
                throw new InvalidDataException(
                    $"{name}: tensor '{tensorName}' is {SafetensorsType.NameOf(entry.Type)}, but holds floating-point numbers in "
                        + "every model."
                );
            return entry;
        }
        FloatArray Floats(string tensorName, params long[] shape)
        {
            var floats = FloatArray.Stored(Require(tensorName, shape).Type, numbers[tensorName], shape);
            FiniteWeights.Require(name, tensorName, floats.Values);
            return floats;
        }
        FloatArray?[] Layers(string branch, IReadOnlyList<int> layers, int width) =>
            [
                .. layers.Select(
                    (length, layer) =>
                        candidates is not null ? Floats(MixtureName(branch, layer), candidates.Sum(), width)
                        : length == 0 ? null
                        : Floats($"{branch}.{layer}", length, width)
                ),
            ];
        float[][] Weights(string branch, IReadOnlyList<int> layers) =>
            [.. layers.Select((_, layer) => Floats(WeightsName(branch, layer), candidates!.Count).Values.ToArray())];

        double scale =
            Require(LogitScaleName).Type == ElementType.Float64
                ? MemoryMarshal.Read<double>(numbers[LogitScaleName])
                : Floats(LogitScaleName).Values[0];
        if (!(scale > 0 && double.IsFinite(scale)))
            throw new InvalidDataException($"{name}: tensor '{LogitScaleName}' is {scale}, which cannot scale logits.");
        TrainedMixture? mixture = candidates is null
            ? null
            : Mixed(name, candidates, Weights(TextName, lengths.Text), Weights(ImageName, lengths.Image));
        if (mixture is not null && !mixture.Largest.Equals(lengths))
            throw new InvalidDataException(
                $"{name}: the largest weights of the mixture are those of {mixture.Largest}, but the model's description says otherwise. "
                    + "Copy or save the model again."
            );
        return new StoredPrompts(
            Layers(TextName, lengths.Text, config.Text.Width),
            Layers(ImageName, lengths.Image, config.Image.Width),
            mixture,
            context is null ? null : Floats(ContextName, context.VectorCount(classes), config.Text.Width),
            header.Entries.ContainsKey(TaskResidualName) ? Floats(TaskResidualName, classes, config.EmbeddingWidth) : null,
            Floats(ClassFeaturesName, classes, config.EmbeddingWidth),
            scale
        );
    }

    public static string MixtureName(string branch, int layer) => $"{branch}_mixture.{layer}";

    public static string WeightsName(string branch, int layer) => $"{branch}_weights.{layer}";

    private static TrainedMixture Mixed(string name, IReadOnlyList<int> candidates, float[][] text, float[][] image)
    {
        try
        {
            return new TrainedMixture(candidates, text, image);
        }
        catch (ArgumentException e)
        {
            throw new InvalidDataException($"{name}: {e.Message} Copy or save the model again.", e);
        }
    }

    // 16 bytes per number is twice what the widest type needs; the rest allows for the header.
    private static void RequireSize(Stream stream, string name, long numbers)
    {
        const long header = 1 << 20;
        if (stream.CanSeek && stream.Length > header + 16 * numbers)
            throw new InvalidDataException(
                $"{name} of the model zip has {stream.Length} bytes, far more than the {numbers} numbers of this model need. Copy or save "
                    + "the model again."
            );
    }
}
