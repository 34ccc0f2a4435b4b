using System.Globalization;
using Google.Protobuf;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Onnx;
using Microsoft.ML.Dpl.TensorFiles;
using Onnx;

namespace Microsoft.ML.Dpl.OnnxRuntime;

/// <summary>Creates the ONNX graph for a model zip that contains CLIP's towers instead of a graph, when it is loaded.</summary>
internal static class TowerGraph
{
    /// <summary>Creates the graph of a classifier.</summary>
    /// <param name="kept">The zip's entries.</param>
    /// <param name="columns">The content of the zip's main stream.</param>
    /// <param name="description">The zip's description.</param>
    /// <param name="precision">Precision of the weights.</param>
    /// <exception cref="InvalidDataException">An entry is damaged or does not fit the others.</exception>
    /// <exception cref="NotSupportedException">The graph exceeds the maximum size.</exception>
    public static byte[] Create(KeptEntries kept, ModelColumns columns, StoredDescription description, OnnxPrecision precision)
    {
        ClipConfig config = ReadConfig(kept);
        description.RequireLayers(config.Text.Layers, config.Image.Layers);
        StoredPrompts prompts = kept.Read(ModelZipFormat.PromptsEntry, from =>
            StoredPrompts.Read(
                from,
                ModelZipFormat.PromptsEntry,
                description.Configuration,
                description.Mixture?.CandidateLengths,
                description.ContextLayout,
                columns.Classes.Count,
                config
            )
        );
        MixtureArrays[]? mixtures = prompts.Mixture is { } mixture
            ? [.. mixture.ImageWeights.Select(weights => MixtureArrays.From(mixture.CandidateLengths, weights))]
            : null;
        var classifier = new ClassifierArrays(
            TowerArrays.Fold(config, ReadWeights(kept, config), prompts.Image, mixtures),
            prompts.ClassFeatures,
            prompts.LogitScale
        );
        return Written(OnnxClassifier.SizeOf(classifier, precision), () => OnnxClassifier.Create(classifier, [], precision: precision));
    }

    /// <summary>Creates the graph of plain CLIP's image embedding.</summary>
    /// <inheritdoc cref="Create"/>
    public static byte[] CreateEmbedding(KeptEntries kept, bool normalize, OnnxPrecision precision)
    {
        ClipConfig config = ReadConfig(kept);
        TowerArrays tower = TowerArrays.Fold(config, ReadWeights(kept, config), new FloatArray?[config.Image.Layers], mixtures: null);
        return Written(OnnxEmbedding.SizeOf(tower, precision), () => OnnxEmbedding.Create(tower, normalize, [], precision: precision));
    }

    /// <summary>Creates the graph of plain CLIP's text embedding.</summary>
    /// <inheritdoc cref="Create"/>
    public static byte[] CreateTextEmbedding(KeptEntries kept, ClipConfig config, bool normalize, OnnxPrecision precision)
    {
        IReadOnlyDictionary<string, FloatArray> weights = kept.Read(ClipEntries.Text, from =>
            FoldedWeights.ReadTextArrays(from, ClipEntries.Text, config)
        );
        return Written(OnnxTextEmbedding.SizeOf(config, precision), () =>
            OnnxTextEmbedding.Create(new TextTowerArrays(config, name => weights[name]), normalize, [], precision)
        );
    }

    /// <summary>Reads the configuration of the CLIP in the zip.</summary>
    /// <exception cref="InvalidDataException">The entry is damaged.</exception>
    public static ClipConfig ReadConfig(KeptEntries kept) => ClipConfigReader.Parse(kept.ReadBytes(ClipEntries.Config), ClipEntries.Config);

    private static IReadOnlyDictionary<string, FloatArray> ReadWeights(KeptEntries kept, ClipConfig config) =>
        kept.Read(ClipEntries.Image, from => FoldedWeights.ReadImageTowerArrays(from, ClipEntries.Image, config));

    private static byte[] Written(long bytes, Func<ModelProto> create) =>
        bytes <= OnnxImageModel.LargestModel
            ? create().ToByteArray()
            : throw new NotSupportedException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"This model's ONNX graph would have about {bytes / 1e9:f1} GB, but the limit is "
                        + $"{OnnxImageModel.LargestModel / 1e9:f1} GB. Score it with libtorch, or save it where it was trained with "
                        + $"Contents = {nameof(ModelContents)}.{nameof(ModelContents.WithOnnx)} and OnnxPrecision = Float16."
                )
            );
}
