using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Runtime;
using Onnx;
using static Microsoft.ML.Dpl.Onnx.OnnxGraph;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>CLIP's picture preprocessing as nodes, as <see cref="ClipImageProcessor"/> does it to an opaque picture: resize, crop, normalise.</summary>
internal static class OnnxPicture
{
    /// <summary>The first opset whose Resize antialiases.</summary>
    public const int Opset = 18;

    /// <param name="graph">Where the nodes go.</param>
    /// <param name="picture">Name of uint8 [height, width, 3]: red, green, blue.</param>
    /// <param name="config">Sizes, means and deviations.</param>
    /// <returns>Name of [1, 3, size, size] normalised.</returns>
    /// <exception cref="NotSupportedException">The crop is larger than the resized picture.</exception>
    public static string Prepare(OnnxGraph graph, string picture, ClipImageProcessorConfig config)
    {
        if (config.ShortSide < config.CropSize)
            throw new NotSupportedException($"This CLIP resizes pictures to {config.ShortSide} pixels and pads them to {config.CropSize}, which a model that takes pictures does not do. Let it take pixels ({nameof(DplOnnxInput)}.{nameof(DplOnnxInput.Pixels)}; dpl onnx --input pixels) and prepare pictures outside.");
        (string middle, string size) = MiddlePart(graph, picture);
        string planes = graph.Add("Transpose", "picture.planes", [middle], With("perm", 2, 0, 1));
        planes = graph.Add("Unsqueeze", "picture.batch", [planes, graph.Integers("picture.batch.axes", 0)]);

        // Integers throughout: the long side is rounded down.
        string shortSide = Shortest(graph, "picture.middle.short", size);
        string scaled = graph.Add("Mul", "picture.scaled", [size, graph.Integers("picture.side", config.ShortSide)]);
        string resizedSize = graph.Add("Div", "picture.resized.size", [scaled, shortSide]);
        string resized = graph.Add(
            "Resize", "picture.resized", [planes, "", "", resizedSize],
            With("axes", 2, 3), With("mode", "cubic"), With("cubic_coeff_a", -0.5f), With("antialias", 1), With("exclude_outside", 1), With("coordinate_transformation_mode", "half_pixel"));

        string crop = graph.Integers("picture.crop", config.CropSize, config.CropSize);
        string rest = graph.Add("Cast", "picture.rest", [graph.Add("Sub", "picture.rest.whole", [resizedSize, crop])], With("to", (long)TensorProto.Types.DataType.Float));
        // Halves go to the even number, as in the reference.
        string start = graph.Add("Round", "picture.start.rounded", [graph.Add("Mul", "picture.start.exact", [rest, graph.Constant("picture.half", 0.5f)])]);
        start = graph.Add("Cast", "picture.start", [start], With("to", (long)TensorProto.Types.DataType.Int64));
        string end = graph.Add("Add", "picture.end", [start, crop]);
        string cropped = graph.Add("Slice", "picture.cropped", [resized, start, end, graph.Integers("picture.crop.axes", 2, 3)]);

        string pixels = graph.Add("Cast", "picture.floats", [cropped], With("to", (long)TensorProto.Types.DataType.Float));
        pixels = graph.Add("Div", "picture.shares", [pixels, graph.Constant("picture.largest", 255f)]);
        pixels = graph.Add("Sub", "picture.centred", [pixels, Channels("picture.mean", config.Mean)]);
        return graph.Add("Div", "picture.normalised", [pixels, Channels("picture.std", config.Deviation)]);

        string Channels(string name, float[] values)
        {
            using Tensor channels = NativeTensor.From(values);
            return graph.Constant(name, channels, 1, 3, 1, 1);
        }
    }

    /// <summary>What is kept of a picture that is longer than <see cref="ClipImageProcessor.LongestShape"/> times its short side, whose resized form could exceed all memory; of others all.</summary>
    /// <returns>Names of the part, [height', width', 3], and of its size, [2].</returns>
    private static (string Part, string Size) MiddlePart(OnnxGraph graph, string picture)
    {
        string size = graph.Add("Shape", "picture.size", [picture], With("start", 0), With("end", 2));
        string longest = graph.Add("Mul", "picture.longest", [Shortest(graph, "picture.short", size), graph.Integers("picture.longest.shape", ClipImageProcessor.LongestShape)]);
        string excess = graph.Add("Max", "picture.excess", [graph.Add("Sub", "picture.excess.signed", [size, longest]), graph.Integers("picture.none", 0)]);
        // The same number of pixels goes at both ends, so an odd one more.
        string even = graph.Add("Add", "picture.excess.more", [excess, graph.Integers("picture.one", 1)]);
        string start = graph.Add("Div", "picture.middle.start", [even, graph.Integers("picture.ends", 2)]);
        string end = graph.Add("Sub", "picture.middle.end", [size, start]);
        string part = graph.Add("Slice", "picture.middle", [picture, start, end, graph.Integers("picture.middle.axes", 0, 1)]);
        return (part, graph.Add("Sub", "picture.middle.size", [end, start]));
    }

    private static string Shortest(OnnxGraph graph, string name, string size)
        => graph.Add("ReduceMin", name, [size, graph.Integers(name + ".axes", 0)], With("keepdims", 1));
}
