using Microsoft.ML.Dpl.Onnx;
using Microsoft.ML.Dpl.Runtime;
using Onnx;

namespace Microsoft.ML.Dpl;

/// <summary>Writes trained classifiers as ONNX models, which ONNX Runtime and others read without libtorch and without CLIP's files.</summary>
/// <remarks>
/// <para>The model is the image tower with the prompts folded in and the classes' text features; float32.</para>
/// <list type="table">
/// <listheader><term>Value</term><description>Type</description></listheader>
/// <item><term>pixels (input)</term><description><c>float</c> [batch, 3, size, size]: pictures as <see cref="DplTransformer.Pixels(string)"/> gives them</description></item>
/// <item><term>picture (input)</term><description>instead, where <see cref="DplOnnxInput.Picture"/> asks for it, <c>uint8</c> [height, width, 3]: one picture; the batch is then 1</description></item>
/// <item><term>logits (output)</term><description><c>float</c> [batch, classes]: cosine similarities times CLIP's factor</description></item>
/// <item><term>probabilities (output)</term><description><c>float</c> [batch, classes]: their softmax, the transformer's scores</description></item>
/// </list>
/// <para>The model's metadata hold the rest as text, lists as JSON: <c>input</c>; <c>classes</c> in the order of the outputs; <c>image_size</c>, <c>resize_short_side</c>, <c>resize</c>, <c>crop</c>,
/// <c>channels</c>, <c>mean</c>, <c>std</c> and <c>apply_exif_orientation</c>, by which pictures are prepared; <c>max_image_pixels</c>, above which the transformer refuses to decode a file; <c>template</c>, <c>configuration</c>, <c>backbone</c>,
/// <c>backbone_sha256</c> and <c>library</c>, from which the model comes. The same transformer gives the same bytes each time.</para>
/// </remarks>
public static class DplOnnx
{
    /// <summary>Writes the model to a file, whole or not at all.</summary>
    /// <param name="transformer">The classifier; stays as it is.</param>
    /// <param name="path">Where it goes, usually named .onnx; a file there is replaced once the new one is whole.</param>
    /// <param name="input">What the model takes.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such input.</exception>
    /// <exception cref="NotSupportedException">The model is larger than the 2 GB that one ONNX file can have, or is to take pictures, which its CLIP pads.</exception>
    /// <exception cref="IOException">The place cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public static void SaveAsOnnx(this DplTransformer transformer, string path, DplOnnxInput input = DplOnnxInput.Pixels)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        ModelProto model = ModelOf(transformer, input);
        WholeFile.Write(path, stream => OnnxClassifier.Write(model, stream));
    }

    /// <summary>Writes the model to a stream at its position and leaves it open.</summary>
    /// <param name="transformer">The classifier; stays as it is.</param>
    /// <param name="stream">Need not seek.</param>
    /// <param name="input">What the model takes.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such input.</exception>
    /// <exception cref="NotSupportedException">The model is larger than the 2 GB that one ONNX file can have, or is to take pictures, which its CLIP pads.</exception>
    /// <exception cref="IOException">The stream cannot be written.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public static void SaveAsOnnx(this DplTransformer transformer, Stream stream, DplOnnxInput input = DplOnnxInput.Pixels)
    {
        ArgumentNullException.ThrowIfNull(stream);
        OnnxClassifier.Write(ModelOf(transformer, input), stream);
    }

    private static ModelProto ModelOf(DplTransformer transformer, DplOnnxInput input)
    {
        ArgumentNullException.ThrowIfNull(transformer);
        if (!Enum.IsDefined(input)) throw new ArgumentOutOfRangeException(nameof(input), input, "There is no such input.");
        return transformer.Use(classifier => OnnxClassifier.Create(classifier, OnnxMetadata.Of(transformer, input), input == DplOnnxInput.Picture ? transformer.Preprocessing : null));
    }
}
