using Google.Protobuf;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Onnx;
using static Microsoft.ML.Dpl.Onnx.OnnxGraph;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>An image tower as an ONNX model: normalised pixels or an image in, and what a head makes of the features out.</summary>
internal static class OnnxImageModel
{
    public const string Pixels = "pixels",
        Image = "image";

    /// <summary>The first opset with LayerNormalization, and the format of its time, which ONNX Runtime reads from 1.12 on.</summary>
    public const int Opset = 17,
        IrVersion = 8;

    /// <summary>No protobuf message can be larger.</summary>
    public const long LargestModel = int.MaxValue;

    private const long RoomForNodes = 16 << 20;

    private static readonly string[] LayerMatrices =
    [
        "attn.in_proj_weight",
        "attn.out_proj.weight",
        "mlp.c_fc.weight",
        "mlp.c_proj.weight",
    ];

    /// <summary>Adds nodes and outputs.</summary>
    /// <param name="graph">Where they go.</param>
    /// <param name="features">Name of [batch, embedding], not normalised.</param>
    /// <param name="batch">The first dimension of the outputs.</param>
    public delegate void Head(OnnxGraph graph, string features, object batch);

    /// <param name="name">The graph's.</param>
    /// <param name="tower">Images to features.</param>
    /// <param name="head">What is made of the features.</param>
    /// <param name="metadata">What a reader needs besides the graph.</param>
    /// <param name="preparation">What the model does to an image; null: it takes pixels, in batches.</param>
    /// <param name="precision">Of the weights.</param>
    /// <param name="data">Takes the large constants; null: the model has all of them in itself.</param>
    /// <param name="cancellationToken">Looked at before each constant.</param>
    /// <exception cref="NotSupportedException">The preparation has no nodes.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
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

    /// <summary>The model of a graph.</summary>
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

    /// <summary>Adds the features with length 1 and returns their name.</summary>
    public static string Unit(OnnxGraph graph, string output, string features) =>
        graph.Add("LpNormalization", output, [features], With("axis", -1), With("p", 2));

    /// <summary>Writes at the stream's position and leaves it open; the same model gives the same bytes.</summary>
    public static void Write(ModelProto model, Stream stream) => model.WriteTo(stream);

    /// <summary>Bytes of a model that has all constants in itself; a little more than it will have.</summary>
    /// <param name="tower">Images to features.</param>
    /// <param name="ofHead">Numbers that the head adds.</param>
    /// <param name="precision">Of the weights.</param>
    public static long SizeOf(TowerArrays tower, long ofHead, OnnxPrecision precision)
    {
        long more = ofHead;
        foreach (PromptArrays? prompt in tower.Prompts)
        {
            more += (prompt?.Keys.Values.Length ?? 0) + (prompt?.Values.Values.Length ?? 0);
            // Written twice: rows to candidates and back.
            more += 2 * (prompt?.Mixture?.Members.Values.Length ?? 0);
        }
        return SizeOf(ClipLayout.Image(tower.Config), more, precision);
    }

    /// <param name="tensors">Those of the tower.</param>
    /// <param name="more">Numbers beside them.</param>
    /// <param name="precision">Of the weights.</param>
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
