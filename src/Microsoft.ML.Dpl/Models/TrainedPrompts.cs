using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Models;

/// <summary>The tensors a fit leaves behind, on the CPU; a few hundred KiB. Owns them.</summary>
/// <param name="Rows">The prompts.</param>
/// <param name="ClassFeatures">[classes, embedding], unit rows</param>
/// <param name="LogitScale">The factor on cosine similarities.</param>
internal sealed record TrainedPrompts(PromptRows Rows, Tensor ClassFeatures, double LogitScale) : IDisposable
{
    private const string ContextName = "context",
        ClassOffsetsName = "task_residual",
        ClassFeaturesName = "class_features",
        LogitScaleName = "logit_scale";
    private const string ImageName = "image",
        TextName = "text";

    /// <summary>A trained mixture, copied.</summary>
    /// <param name="branches">Both of the same candidates; they stay the caller's.</param>
    /// <param name="classFeatures">[classes, embedding], unit rows, with these prompts; stays the caller's.</param>
    /// <param name="logitScale">The factor on cosine similarities, above 0.</param>
    /// <exception cref="ArgumentException">The branches have other candidates than each other.</exception>
    public static TrainedPrompts From(BranchPair<MixtureBranch> branches, Tensor classFeatures, double logitScale) =>
        new(PromptRows.From(branches), PromptRows.Copied(classFeatures)!, logitScale);

    /// <summary>Writes a safetensors stream: image.{layer}, text.{layer}, context, task_residual, class_features, logit_scale; of a mixture
    /// image_mixture.{layer} with the rows of all candidates and image_weights.{layer}, and the same of the text. The metadata keep their
    /// SHA-256.</summary>
    /// <remarks>A mixture has no image.{layer} and text.{layer}, so that no reader takes it for prompts of fixed lengths.</remarks>
    public void Write(Stream stream)
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor> { [ClassFeaturesName] = ClassFeatures };
        Add(ImageName, Rows.Image, Rows.Mixture?.ImageWeights);
        Add(TextName, Rows.Text, Rows.Mixture?.TextWeights);
        if (Rows.Context is { } context)
            tensors[ContextName] = context.Vectors;
        if (Rows.ClassOffsets is { } offsets)
            tensors[ClassOffsetsName] = offsets;
        tensors[LogitScaleName] = tensor(LogitScale, ScalarType.Float64);
        SafetensorsWriter.Write(stream, tensors, new Dictionary<string, string> { [TensorDigest.Name] = TensorDigest.Compute(tensors) });

        void Add(string branch, IReadOnlyList<Tensor?> layers, IReadOnlyList<IReadOnlyList<float>>? weights)
        {
            for (int layer = 0; layer < layers.Count; layer++)
            {
                if (layers[layer] is { } rows)
                    tensors[weights is null ? $"{branch}.{layer}" : MixtureName(branch, layer)] = rows;
                if (weights is not null)
                    tensors[WeightsName(branch, layer)] = NativeTensor.From([.. weights[layer]]);
            }
        }
    }

    /// <summary>Reads what <see cref="Write"/> wrote, and checks every shape against what the model and the backbone say, and the SHA-256
    /// where there is one: zips of earlier versions have none.</summary>
    /// <param name="stream">The entry of the model zip.</param>
    /// <param name="name">For messages.</param>
    /// <param name="imageLengths">Prompt length per image layer; of a mixture, that of the largest weight.</param>
    /// <param name="textLengths">The same for the text layers.</param>
    /// <param name="candidates">The mixture's candidates, increasing from 0; null: fixed lengths.</param>
    /// <param name="context">Of a context in the texts' input; null: there is none.</param>
    /// <param name="classes">How many there are.</param>
    /// <param name="config">The backbone's shape.</param>
    /// <exception cref="InvalidDataException">The stream is larger than such tensors can be or damaged, a tensor is missing, has another
    /// shape or type or holds values that are no finite numbers, weights are no mixture or contradict the lengths, or the SHA-256 is
    /// another.</exception>
    public static TrainedPrompts Read(
        Stream stream,
        string name,
        IReadOnlyList<int> imageLengths,
        IReadOnlyList<int> textLengths,
        IReadOnlyList<int>? candidates,
        ContextLayout? context,
        int classes,
        ClipConfig config
    )
    {
        using var scope = NewDisposeScope();
        long Numbers(IReadOnlyList<int> lengths, int width) =>
            candidates is null
                ? lengths.Sum(l => (long)l) * width
                : lengths.Count * (candidates.Sum(l => (long)l) * width + candidates.Count);
        RequireSize(
            stream,
            name,
            Numbers(imageLengths, config.Vision.Width)
                + Numbers(textLengths, config.Text.Width)
                + (2L * classes * config.EmbeddingWidth)
                + (long)(context?.VectorCount(classes) ?? 0) * config.Text.Width
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
        Tensor ReadFloats(string tensorName, params long[] shape) => ReadAs(tensorName, shape).to_type(ScalarType.Float32);
        Tensor?[] Layers(string branch, IReadOnlyList<int> lengths, int width) =>
            [
                .. lengths.Select(
                    (length, layer) =>
                        candidates is not null ? ReadFloats(MixtureName(branch, layer), candidates.Sum(), width)
                        : length == 0 ? null
                        : ReadFloats($"{branch}.{layer}", length, width)
                ),
            ];
        float[][] Weights(string branch, IReadOnlyList<int> lengths) =>
            [.. lengths.Select((_, layer) => ReadFloats(WeightsName(branch, layer), candidates!.Count).data<float>().ToArray())];

        double scale = ReadAs(LogitScaleName).to_type(ScalarType.Float64).item<double>();
        if (scale <= 0)
            throw new InvalidDataException($"{name}: tensor '{LogitScaleName}' is {scale}, which cannot scale logits.");
        DplMixture? mixture = candidates is null
            ? null
            : Mixed(name, candidates, Weights(TextName, textLengths), Weights(ImageName, imageLengths));
        if (mixture is not null && !mixture.Largest.Equals(new PromptConfiguration(textLengths, imageLengths)))
            throw new InvalidDataException(
                $"{name}: the largest weights of the mixture are those of {mixture.Largest}, but the model's description says otherwise. "
                    + "Copy or save the model again."
            );
        var prompts = new TrainedPrompts(
            new PromptRows(
                Layers(TextName, textLengths, config.Text.Width),
                Layers(ImageName, imageLengths, config.Vision.Width),
                mixture,
                context is null ? null : new ContextRows(context, ReadFloats(ContextName, context.VectorCount(classes), config.Text.Width)),
                file.Entries.ContainsKey(ClassOffsetsName) ? ReadFloats(ClassOffsetsName, classes, config.EmbeddingWidth) : null
            ),
            ReadFloats(ClassFeaturesName, classes, config.EmbeddingWidth),
            scale
        );
        foreach (
            Tensor? tensor in prompts
                .Rows.Image.Concat(prompts.Rows.Text)
                .Append(prompts.Rows.Context?.Vectors)
                .Append(prompts.Rows.ClassOffsets)
                .Append(prompts.ClassFeatures)
        )
            tensor?.DetachFromDisposeScope();
        return prompts;
    }

    private static DplMixture Mixed(string name, IReadOnlyList<int> candidates, float[][] text, float[][] image)
    {
        try
        {
            return new DplMixture(candidates, text, image);
        }
        catch (ArgumentException e)
        {
            throw new InvalidDataException($"{name}: {e.Message} Copy or save the model again.", e);
        }
    }

    private static string MixtureName(string branch, int layer) => $"{branch}_mixture.{layer}";

    private static string WeightsName(string branch, int layer) => $"{branch}_weights.{layer}";

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
        Rows.Dispose();
        ClassFeatures.Dispose();
    }
}
