using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Onnx;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>CLIP's text tower as an ONNX model, which computes the vector of a text's tokens.</summary>
internal static class OnnxTextEmbedding
{
    public const string Tokens = "tokens";

    /// <param name="tower">The text tower.</param>
    /// <param name="normalize">Whether vectors are normalised to length 1.</param>
    /// <param name="metadata">The metadata, which tells users of the model what they need to know besides the graph.</param>
    /// <param name="precision">Precision of the weights.</param>
    /// <param name="data">Receives the large constants; null to store all constants in the model.</param>
    /// <param name="cancellationToken">Checked before each constant.</param>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public static ModelProto Create(
        TextTowerArrays tower,
        bool normalize,
        IReadOnlyList<KeyValuePair<string, string>> metadata,
        OnnxPrecision precision = OnnxPrecision.Float32,
        OnnxData? data = null,
        CancellationToken cancellationToken = default
    )
    {
        var graph = new OnnxGraph("clip_text_embedding", OnnxImageModel.Opset, precision == OnnxPrecision.Float16, data, cancellationToken);
        graph.Input(
            Tokens,
            "Token ids from start to end; behind the end any number of zeros.",
            TensorProto.Types.DataType.Int64,
            "batch",
            "length"
        );
        IOnnxLinear linear = precision == OnnxPrecision.Int8 ? new Int8Linear(graph) : new FloatLinear(graph);
        OnnxEmbedding.AddOutput(graph, new OnnxTextTower(graph, tower, Tokens, linear).Features, normalize, "text", "batch", tower.Config);
        return OnnxImageModel.Finish(graph, metadata);
    }

    /// <summary>Size in bytes of a model that contains all its constants; a slight overestimate.</summary>
    public static long SizeOf(ClipConfig config, OnnxPrecision precision) =>
        OnnxImageModel.SizeOf(ClipLayout.Text(config), (long)config.ContextLength * config.ContextLength, precision);
}
