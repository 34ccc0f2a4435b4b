using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.TensorFiles;
using Onnx;
using static Microsoft.ML.Dpl.Onnx.OnnxGraph;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>CLIP's image preprocessing as ONNX nodes, equivalent to <see cref="ClipImageProcessor"/> for opaque images: resize, crop,
/// normalise.</summary>
internal static class OnnxImage
{
    /// <summary>The first opset whose Resize supports antialiasing.</summary>
    public const int Opset = 18;

    /// <param name="graph">The graph to add the nodes to.</param>
    /// <param name="image">Name of the image, uint8 [height, width, 3]: red, green, blue.</param>
    /// <param name="config">Sizes, means and deviations.</param>
    /// <returns>Name of the normalised pixels, [1, 3, size, size].</returns>
    /// <exception cref="NotSupportedException">The crop is larger than the resized image.</exception>
    public static string Prepare(OnnxGraph graph, string image, ClipImageProcessorConfig config)
    {
        if (config.ShortSide < config.CropSize)
            throw new NotSupportedException(
                $"This CLIP resizes images to {config.ShortSide} pixels and pads them to {config.CropSize}, which a model with images as "
                    + $"its input cannot do. Let it take pixels ({nameof(OnnxInput)}.{nameof(OnnxInput.Pixels)}; dpl onnx --input pixels) "
                    + "and prepare the images yourself."
            );
        (string middle, string size) = MiddlePart(graph, image);
        string planes = graph.Add("Transpose", "image.planes", [middle], With("perm", 2, 0, 1));
        planes = graph.Add("Unsqueeze", "image.batch", [planes, graph.Integers("image.batch.axes", 0)]);

        // Integer arithmetic throughout, so the longer side is rounded down.
        string shortSide = Shortest(graph, "image.middle.short", size);
        string scaled = graph.Add("Mul", "image.scaled", [size, graph.Integers("image.side", config.ShortSide)]);
        string resizedSize = graph.Add("Div", "image.resized.size", [scaled, shortSide]);
        string resized = graph.Add(
            "Resize",
            "image.resized",
            [planes, "", "", resizedSize],
            With("axes", 2, 3),
            With("mode", "cubic"),
            With("cubic_coeff_a", -0.5f),
            With("antialias", 1),
            With("exclude_outside", 1),
            With("coordinate_transformation_mode", "half_pixel")
        );

        string crop = graph.Integers("image.crop", config.CropSize, config.CropSize);
        string rest = graph.Add(
            "Cast",
            "image.rest",
            [graph.Add("Sub", "image.rest.whole", [resizedSize, crop])],
            With("to", (long)TensorProto.Types.DataType.Float)
        );
        // Halves are rounded to even, as in the reference.
        string start = graph.Add(
            "Round",
            "image.start.rounded",
            [graph.Add("Mul", "image.start.exact", [rest, graph.Constant("image.half", 0.5f)])]
        );
        start = graph.Add("Cast", "image.start", [start], With("to", (long)TensorProto.Types.DataType.Int64));
        string end = graph.Add("Add", "image.end", [start, crop]);
        string cropped = graph.Add("Slice", "image.cropped", [resized, start, end, graph.Integers("image.crop.axes", 2, 3)]);

        string pixels = graph.Add("Cast", "image.floats", [cropped], With("to", (long)TensorProto.Types.DataType.Float));
        pixels = graph.Add("Div", "image.shares", [pixels, graph.Constant("image.largest", 255f)]);
        pixels = graph.Add("Sub", "image.centred", [pixels, Channels("image.mean", config.Mean)]);
        return graph.Add("Div", "image.normalised", [pixels, Channels("image.std", config.Deviation)]);

        string Channels(string name, float[] values) => graph.Constant(name, FloatArray.From(values), 1, 3, 1, 1);
    }

    /// <summary>The middle part of an image whose aspect ratio exceeds <see cref="ClipImageProcessor.LongestShape"/>, because its resized
    /// form could exhaust memory; other images are kept whole.</summary>
    /// <returns>Names of the part, [height', width', 3], and of its size, [2].</returns>
    private static (string Part, string Size) MiddlePart(OnnxGraph graph, string image)
    {
        string size = graph.Add("Shape", "image.size", [image], With("start", 0), With("end", 2));
        string longest = graph.Add(
            "Mul",
            "image.longest",
            [Shortest(graph, "image.short", size), graph.Integers("image.longest.shape", ClipImageProcessor.LongestShape)]
        );
        string excess = graph.Add(
            "Max",
            "image.excess",
            [graph.Add("Sub", "image.excess.signed", [size, longest]), graph.Integers("image.none", 0)]
        );
        // The same number of pixels is cut at both ends, so an odd excess is rounded up.
        string even = graph.Add("Add", "image.excess.more", [excess, graph.Integers("image.one", 1)]);
        string start = graph.Add("Div", "image.middle.start", [even, graph.Integers("image.ends", 2)]);
        string end = graph.Add("Sub", "image.middle.end", [size, start]);
        string part = graph.Add("Slice", "image.middle", [image, start, end, graph.Integers("image.middle.axes", 0, 1)]);
        return (part, graph.Add("Sub", "image.middle.size", [end, start]));
    }

    private static string Shortest(OnnxGraph graph, string name, string size) =>
        graph.Add("ReduceMin", name, [size, graph.Integers(name + ".axes", 0)], With("keepdims", 1));
}
