using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Onnx;
using static Microsoft.ML.Dpl.Onnx.OnnxGraph;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>A trained classifier as an ONNX model, which computes the logits and probabilities of an image.</summary>
internal static class OnnxClassifier
{
    public const string Logits = "logits",
        Probabilities = "probabilities";

    /// <inheritdoc cref="OnnxImageModel.Create"/>
    public static ModelProto Create(
        ClassifierArrays classifier,
        IReadOnlyList<KeyValuePair<string, string>> metadata,
        ClipImageProcessorConfig? preparation = null,
        OnnxPrecision precision = OnnxPrecision.Float32,
        OnnxData? data = null,
        CancellationToken cancellationToken = default
    ) =>
        OnnxImageModel.Create(
            "prompted_clip",
            classifier.Tower,
            (graph, features, batch) => Add(graph, classifier, features, batch),
            metadata,
            preparation,
            precision,
            data,
            cancellationToken
        );

    /// <inheritdoc cref="OnnxImageModel.SizeOf(TowerArrays, long, OnnxPrecision)"/>
    public static long SizeOf(ClassifierArrays classifier, OnnxPrecision precision) =>
        OnnxImageModel.SizeOf(classifier.Tower, classifier.ClassFeatures.Values.Length, precision);

    private static void Add(OnnxGraph graph, ClassifierArrays classifier, string features, object batch)
    {
        string unit = OnnxImageModel.Unit(graph, "features.unit", features);
        // The class features of unit norm as columns, times the logit scale.
        string columns = graph.Constant("class_features", classifier.ClassFeatures.Transposed().Times((float)classifier.LogitScale));
        graph.Add("MatMul", Logits, [unit, columns]);
        graph.Add("Softmax", Probabilities, [Logits], With("axis", -1));
        long classes = classifier.ClassFeatures.Shape[0];
        graph.Output(Logits, "Cosine similarities of image and classes times the logit scale.", batch, classes);
        graph.Output(Probabilities, "The softmax of the logits; each row sums to 1.", batch, classes);
    }
}

/// <summary>CLIP's image tower as an ONNX model, which computes the vector of an image.</summary>
internal static class OnnxEmbedding
{
    public const string Embedding = "embedding";

    /// <param name="tower">The image tower.</param>
    /// <param name="normalize">Whether vectors are normalised to length 1.</param>
    /// <param name="metadata">The metadata, which tells users of the model what they need to know besides the graph.</param>
    /// <param name="preparation">The preprocessing that the model includes, for a single image; null if the input is batches of
    /// pixels.</param>
    /// <param name="precision">Precision of the weights.</param>
    /// <param name="data">Receives the large constants; null to store all constants in the model.</param>
    /// <param name="cancellationToken">Checked before each constant.</param>
    /// <inheritdoc cref="OnnxImageModel.Create"/>
    public static ModelProto Create(
        TowerArrays tower,
        bool normalize,
        IReadOnlyList<KeyValuePair<string, string>> metadata,
        ClipImageProcessorConfig? preparation = null,
        OnnxPrecision precision = OnnxPrecision.Float32,
        OnnxData? data = null,
        CancellationToken cancellationToken = default
    ) =>
        OnnxImageModel.Create(
            "clip_image_embedding",
            tower,
            (graph, features, batch) => AddOutput(graph, features, normalize, "image", batch, tower.Config),
            metadata,
            preparation,
            precision,
            data,
            cancellationToken
        );

    /// <summary>Adds the vector of an image or a text as the output.</summary>
    public static void AddOutput(OnnxGraph graph, string features, bool normalize, string kind, object batch, ClipConfig config)
    {
        if (normalize)
            OnnxImageModel.Unit(graph, Embedding, features);
        else
            graph.Add("Identity", Embedding, [features]);
        string what = $"CLIP's vector of the {kind}{(normalize ? ", of length 1" : "")}.";
        graph.Output(Embedding, what, batch, config.EmbeddingWidth);
    }

    /// <summary>Size in bytes of a model that contains all its constants; a slight overestimate.</summary>
    public static long SizeOf(TowerArrays tower, OnnxPrecision precision) => OnnxImageModel.SizeOf(tower, 0, precision);
}
