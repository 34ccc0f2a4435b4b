using Microsoft.ML.Dpl.Clip;
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
            throw new NotSupportedException($"This CLIP resizes pictures to {config.ShortSide} pixels and pads them to {config.CropSize}, which a graph that takes pictures does not do. Save it with {nameof(DplOnnxInput)}.{nameof(DplOnnxInput.Pixels)} and prepare pictures outside.");
        string planes = graph.Add("Transpose", "picture.planes", [picture], With("perm", 2, 0, 1));
        planes = graph.Add("Unsqueeze", "picture.batch", [planes, graph.Integers("picture.batch.axes", 0)]);
        string size = graph.Add("Shape", "picture.size", [picture], With("start", 0), With("end", 2));

        // Integers throughout: the long side is rounded down.
        string shortSide = graph.Add("ReduceMin", "picture.short", [size, graph.Integers("picture.short.axes", 0)], With("keepdims", 1));
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
            using Tensor channels = tensor(values);
            return graph.Constant(name, channels, 1, 3, 1, 1);
        }
    }
}
