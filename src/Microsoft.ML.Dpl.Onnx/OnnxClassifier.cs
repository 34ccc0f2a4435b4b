using Google.Protobuf;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Onnx;
using static Microsoft.ML.Dpl.Onnx.OnnxGraph;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>A trained classifier as an ONNX model: normalised pixels or an image in, logits and probabilities out.</summary>
internal static class OnnxClassifier
{
    public const string Pixels = "pixels",
        Image = "image",
        Logits = "logits",
        Probabilities = "probabilities";

    /// <summary>The first opset with LayerNormalization, and the format of its time, which ONNX Runtime reads from 1.12 on.</summary>
    public const int Opset = 17,
        IrVersion = 8;

    /// <summary>No protobuf message can be larger.</summary>
    public const long LargestModel = int.MaxValue;

    private const long RoomForNodes = 16 << 20;

    /// <param name="classifier">Only read.</param>
    /// <param name="metadata">What a reader needs besides the graph.</param>
    /// <param name="preparation">What the model does to an image; null: it takes pixels, in batches.</param>
    /// <param name="precision">Of the weights.</param>
    /// <param name="data">Takes the large constants; null: the model has all of them in itself.</param>
    /// <param name="cancellationToken">Looked at before each constant.</param>
    /// <exception cref="NotSupportedException">The preparation has no nodes.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static ModelProto Create(
        FoldedClassifier classifier,
        IReadOnlyList<KeyValuePair<string, string>> metadata,
        ClipImageProcessorConfig? preparation = null,
        DplOnnxPrecision precision = DplOnnxPrecision.Float32,
        OnnxData? data = null,
        CancellationToken cancellationToken = default
    )
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        ClipConfig config = classifier.Tower.Weights.Config;
        long classes = classifier.ClassFeatures.shape[0];
        int opset = preparation is null ? Opset : OnnxImage.Opset;
        var graph = new OnnxGraph("prompted_clip", opset, precision == DplOnnxPrecision.Float16, data, cancellationToken);
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
                config.ImageSize,
                config.ImageSize
            );
        }
        else
        {
            batch = 1;
            graph.Input(Image, "An image, row by row: red, green, blue.", TensorProto.Types.DataType.Uint8, "height", "width", 3);
            images = OnnxImage.Prepare(graph, Image, preparation);
        }
        IOnnxLinear linear = precision == DplOnnxPrecision.Int8 ? new Int8Linear(graph) : new FloatLinear(graph);
        string features = new OnnxTower(graph, classifier.Tower, images, linear).Features;
        string unit = graph.Add("LpNormalization", "features.unit", [features], With("axis", -1), With("p", 2));
        // Unit class features as columns, times the logit scale.
        string columns = graph.Constant("class_features", classifier.ClassFeatures.t() * classifier.LogitScale);
        graph.Add("MatMul", Logits, [unit, columns]);
        graph.Add("Softmax", Probabilities, [Logits], With("axis", -1));
        graph.Output(Logits, "Cosine similarities of image and classes times the logit scale.", batch, classes);
        graph.Output(Probabilities, "The softmax of the logits; each row sums to 1.", batch, classes);

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

    /// <summary>Writes at the stream's position and leaves it open; the same model gives the same bytes.</summary>
    public static void Write(ModelProto model, Stream stream) => model.WriteTo(stream);

    /// <summary>Bytes of a model that has all constants in itself; a little more than it will have.</summary>
    public static long SizeOf(FoldedClassifier classifier, DplOnnxPrecision precision)
    {
        VisionWeights weights = classifier.Tower.Weights;
        IEnumerable<Tensor> prompts = classifier.Tower.Folded.SelectMany(folded =>
            folded is var (keys, values) ? new[] { keys, values } : []
        );
        // Written twice: rows to candidates and back.
        IEnumerable<Tensor> members = classifier.Tower.Mixtures.OfType<FoldedMixture>().SelectMany(m => new[] { m.Members, m.Members });
        long numbers = weights.Tensors.Concat(prompts).Concat(members).Append(classifier.ClassFeatures).Sum(each => each.NumberOfElements);
        long bytes = weights
            .Blocks.SelectMany(block => new[] { block.QkvWeight, block.OutWeight, block.UpWeight, block.DownWeight })
            .Sum(each => each.NumberOfElements);
        return RoomForNodes
            + precision switch
            {
                DplOnnxPrecision.Float16 => numbers * sizeof(float) / 2,
                DplOnnxPrecision.Int8 => bytes + (numbers - bytes) * sizeof(float),
                _ => numbers * sizeof(float),
            };
    }
}
