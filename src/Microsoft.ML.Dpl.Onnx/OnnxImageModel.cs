using Google.Protobuf;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Onnx;
using static Microsoft.ML.Dpl.Onnx.OnnxGraph;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>An image tower as an ONNX model: the input is normalised pixels or an image, and a head computes the outputs from the
/// features.</summary>
internal static class OnnxImageModel
{
    public const string Pixels = "pixels",
        Image = "image";

    /// <summary>The first opset with LayerNormalization, and the IR version of that time, which ONNX Runtime supports from 1.12
    /// on.</summary>
    public const int Opset = 17,
        IrVersion = 8;

    /// <summary>The maximum size of a protobuf message in bytes.</summary>
    public const long LargestModel = int.MaxValue;

    private const long RoomForNodes = 16 << 20;

    private static readonly string[] LayerMatrices =
    [
        "attn.in_proj_weight",
        "attn.out_proj.weight",
        "mlp.c_fc.weight",
        "mlp.c_proj.weight",
    ];

    /// <summary>Adds the nodes and outputs of a head.</summary>
    /// <param name="graph">The graph to add them to.</param>
    /// <param name="features">Name of the features, [batch, embedding], not normalised.</param>
    /// <param name="batch">The first dimension of the outputs.</param>
    public delegate void Head(OnnxGraph graph, string features, object batch);

    /// <param name="name">The graph's name.</param>
    /// <param name="tower">The image tower.</param>
    /// <param name="head">Adds the outputs computed from the features.</param>
    /// <param name="metadata">The metadata, which tells users of the model what they need to know besides the graph.</param>
    /// <param name="preparation">The preprocessing that the model includes, for a single image; null if the input is batches of
    /// pixels.</param>
    /// <param name="precision">Precision of the weights.</param>
    /// <param name="data">Receives the large constants; null to store all constants in the model.</param>
    /// <param name="cancellationToken">Checked before each constant.</param>
    /// <exception cref="NotSupportedException">The preprocessing cannot be expressed as nodes.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public static ModelProto Create(
        string name,
        TowerArrays tower,
        Head head,
        IReadOnlyList<KeyValuePair<string, string>> metadata,
        ClipImageProcessorConfig? preparation,
        OnnxPrecision precision,
        OnnxData? data,
        CancellationToken cancellationToken
    )
    {
        int opset = preparation is null ? Opset : OnnxImage.Opset;
        var graph = new OnnxGraph(name, opset, precision == OnnxPrecision.Float16, data, cancellationToken);
        object batch = "batch";
        string images = Pixels;
        if (preparation is null)
        {
            graph.Input(
                Pixels,
                "Images, channels first, prepared as the model's metadata say.",
                TensorProto.Types.DataType.Float,
                batch,
                3,
                tower.Config.ImageSize,
                tower.Config.ImageSize
            );
        }
        else
        {
            batch = 1;
            graph.Input(Image, "An image, row by row: red, green, blue.", TensorProto.Types.DataType.Uint8, "height", "width", 3);
            images = OnnxImage.Prepare(graph, Image, preparation);
        }
        IOnnxLinear linear = precision == OnnxPrecision.Int8 ? new Int8Linear(graph) : new FloatLinear(graph);
        head(graph, new OnnxTower(graph, tower, images, linear).Features, batch);
        return Finish(graph, metadata);
    }

    /// <summary>Creates the model of a graph.</summary>
    public static ModelProto Finish(OnnxGraph graph, IReadOnlyList<KeyValuePair<string, string>> metadata)
    {
        var model = new ModelProto
        {
            IrVersion = IrVersion,
            ProducerName = LibraryVersion.Name,
            ProducerVersion = LibraryVersion.Number,
            Domain = "",
            ModelVersion = 1,
            Graph = graph.Graph,
        };
        model.OpsetImport.AddRange(graph.Operators);
        model.MetadataProps.AddRange(metadata.Select(pair => new StringStringEntryProto { Key = pair.Key, Value = pair.Value }));
        return model;
    }

    /// <summary>Adds a node that normalises features to length 1, and returns its name.</summary>
    public static string Unit(OnnxGraph graph, string output, string features) =>
        graph.Add("LpNormalization", output, [features], With("axis", -1), With("p", 2));

    /// <summary>Writes a model at the stream's current position and leaves the stream open; the same model always gives the same
    /// bytes.</summary>
    public static void Write(ModelProto model, Stream stream) => model.WriteTo(stream);

    /// <summary>Size in bytes of a model that contains all its constants; a slight overestimate.</summary>
    /// <param name="tower">The image tower.</param>
    /// <param name="ofHead">How many numbers the head adds.</param>
    /// <param name="precision">Precision of the weights.</param>
    public static long SizeOf(TowerArrays tower, long ofHead, OnnxPrecision precision)
    {
        long more = ofHead;
        foreach (PromptArrays? prompt in tower.Prompts)
        {
            more += (prompt?.Keys.Values.Length ?? 0) + (prompt?.Values.Values.Length ?? 0);
            // Written twice: for mapping rows to candidates and back.
            more += 2 * (prompt?.Mixture?.Members.Values.Length ?? 0);
        }
        return SizeOf(ClipLayout.Image(tower.Config), more, precision);
    }

    /// <param name="tensors">The tower's tensors.</param>
    /// <param name="more">How many further numbers there are.</param>
    /// <param name="precision">Precision of the weights.</param>
    public static long SizeOf(IEnumerable<ExpectedTensor> tensors, long more, OnnxPrecision precision)
    {
        long numbers = more,
            bytes = 0;
        foreach (ExpectedTensor tensor in tensors)
        {
            long count = tensor.Shape.Aggregate(1L, (product, size) => product * size);
            numbers += count;
            if (LayerMatrices.Any(matrix => tensor.Name.EndsWith(matrix, StringComparison.Ordinal)))
                bytes += count;
        }
        return RoomForNodes
            + precision switch
            {
                OnnxPrecision.Float16 => numbers * sizeof(float) / 2,
                OnnxPrecision.Int8 => bytes + (numbers - bytes) * sizeof(float),
                _ => numbers * sizeof(float),
            };
    }
}
