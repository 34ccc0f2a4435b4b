using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Models;

/// <summary>The tensors that result from a fit, on the CPU; a few hundred KiB. Owns them.</summary>
/// <param name="Rows">The prompts.</param>
/// <param name="ClassFeatures">[classes, embedding], rows of unit norm</param>
/// <param name="LogitScale">The factor on cosine similarities.</param>
internal sealed record TrainedPrompts(PromptRows Rows, Tensor ClassFeatures, double LogitScale) : IDisposable
{
    /// <summary>Copies a trained mixture.</summary>
    /// <param name="branches">The branches, both with the same candidates; still owned by the caller.</param>
    /// <param name="classFeatures">[classes, embedding], the class features with these prompts, as rows of unit norm; still owned by the
    /// caller.</param>
    /// <param name="logitScale">The factor on cosine similarities, above 0.</param>
    /// <exception cref="ArgumentException">The two branches have different candidates.</exception>
    public static TrainedPrompts From(BranchPair<MixtureBranch> branches, Tensor classFeatures, double logitScale) =>
        new(PromptRows.From(branches), PromptRows.Copied(classFeatures)!, logitScale);

    /// <summary>Writes a safetensors stream: image.{layer}, text.{layer}, context, task_residual, class_features, logit_scale; for a
    /// mixture, image_mixture.{layer} with the rows of all candidates, image_weights.{layer}, and likewise for the text. The metadata
    /// contains the SHA-256 of the tensors.</summary>
    /// <remarks>A mixture has no image.{layer} and text.{layer}, so that no reader mistakes it for prompts of fixed lengths.</remarks>
    public void Write(Stream stream)
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor> { [StoredPrompts.ClassFeaturesName] = ClassFeatures };
        Add(StoredPrompts.ImageName, Rows.Image, Rows.Mixture?.ImageWeights);
        Add(StoredPrompts.TextName, Rows.Text, Rows.Mixture?.TextWeights);
        if (Rows.Context is { } context)
            tensors[StoredPrompts.ContextName] = context.Vectors;
        if (Rows.ClassOffsets is { } offsets)
            tensors[StoredPrompts.TaskResidualName] = offsets;
        tensors[StoredPrompts.LogitScaleName] = tensor(LogitScale, ScalarType.Float64);
        SafetensorsWriter.Write(stream, tensors, new Dictionary<string, string> { [TensorDigest.Name] = TensorDigest.Compute(tensors) });

        void Add(string branch, IReadOnlyList<Tensor?> layers, IReadOnlyList<IReadOnlyList<float>>? weights)
        {
            for (int layer = 0; layer < layers.Count; layer++)
            {
                if (layers[layer] is { } rows)
                    tensors[weights is null ? $"{branch}.{layer}" : StoredPrompts.MixtureName(branch, layer)] = rows;
                if (weights is not null)
                    tensors[StoredPrompts.WeightsName(branch, layer)] = NativeTensor.From([.. weights[layer]]);
            }
        }
    }

    /// <summary>Reads what <see cref="Write"/> wrote; see <see cref="StoredPrompts.Read"/>.</summary>
    /// <inheritdoc cref="StoredPrompts.Read"/>
    public static TrainedPrompts Read(
        Stream stream,
        string name,
        PromptConfiguration lengths,
        IReadOnlyList<int>? candidates,
        ContextLayout? context,
        int classes,
        ClipConfig config
    )
    {
        StoredPrompts stored = StoredPrompts.Read(stream, name, lengths, candidates, context, classes, config);
        LibTorch.EnsureLoaded();
        using var ordinary = inference_mode(false);
        return new TrainedPrompts(
            new PromptRows(
                [.. stored.Text.Select(Copied)],
                [.. stored.Image.Select(Copied)],
                stored.Mixture,
                context is null ? null : new ContextRows(context, Copied(stored.Context)!),
                Copied(stored.TaskResidual)
            ),
            Copied(stored.ClassFeatures)!,
            stored.LogitScale
        );
    }

    private static Tensor? Copied(FloatArray? values) =>
        values is null ? null : NativeTensor.From(values.Values, values.Shape).DetachFromDisposeScope();

    public void Dispose()
    {
        Rows.Dispose();
        ClassFeatures.Dispose();
    }
}
