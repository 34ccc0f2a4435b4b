using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Onnx;

namespace Microsoft.ML.Dpl;

/// <summary>Writes trained classifiers, and embeddings of images and texts, as ONNX models, which ONNX Runtime and others read without
/// libtorch and without CLIP's files.</summary>
/// <remarks>
/// <para>The model of a classifier is the image tower with the prompts folded in and the classes' text features, in the precision that is
/// asked for.</para>
/// <list type="table">
/// <listheader><term>Value</term><description>Type</description></listheader>
/// <item><term>pixels (input)</term><description><c>float</c> [batch, 3, size, size]: images as <see cref="DplTransformer.Pixels(string)"/>
/// gives them</description></item>
/// <item><term>image (input)</term><description>instead, where <see cref="OnnxInput.Image"/> asks for it, <c>uint8</c> [height, width,
/// 3]: one image; the batch is then 1</description></item>
/// <item><term>logits (output)</term><description><c>float</c> [batch, classes]: cosine similarities times CLIP's
/// factor</description></item>
/// <item><term>probabilities (output)</term><description><c>float</c> [batch, classes]: their softmax, the transformer's
/// scores</description></item>
/// </list>
/// <para>The model's metadata hold the rest as text, lists as JSON: <c>input</c>; <c>precision</c>; <c>classes</c> in the order of the
/// outputs; <c>image_size</c>, <c>resize_short_side</c>, <c>resize</c>, <c>crop</c>,
/// <c>channels</c>, <c>mean</c>, <c>std</c> and <c>apply_exif_orientation</c>, by which images are prepared; <c>max_image_pixels</c>, above
/// which the transformer refuses to decode a file; <c>template</c>, <c>configuration</c>, <c>backbone</c>,
/// <c>backbone_sha256</c> and <c>library</c>, from which the model comes; <c>mixture</c>, the <c>candidates</c>, <c>text_weights</c> and
/// <c>image_weights</c> of <see cref="DplTransformer.Mixture"/> where it has one; <c>context</c>, <c>templates</c> and <c>design</c> where
/// it has these, which the class features contain already. The same transformer gives the same bytes each
/// time.</para>
/// </remarks>
public static partial class DplOnnx
{
    /// <summary>Writes the model to a file, whole or not at all.</summary>
    /// <param name="transformer">The classifier; stays as it is.</param>
    /// <param name="path">Where it goes, usually named .onnx; a file there is replaced once the new one is whole.</param>
    /// <param name="input">What the model takes.</param>
    /// <param name="externalData">
    /// Whether the weights go into a second file, which is called as the first with .data behind it and must stay beside it under that
    /// name. A model of more than the 2 GB that one ONNX file can have is written so in any case.
    /// </param>
    /// <param name="precision">Of its weights.</param>
    /// <param name="cancellationToken">Ends the work soon, with nothing written.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such input or precision.</exception>
    /// <exception cref="NotSupportedException">The model is to take images, which its CLIP pads.</exception>
    /// <exception cref="IOException">The place cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static void SaveAsOnnx(
        this DplTransformer transformer,
        string path,
        OnnxInput input = OnnxInput.Pixels,
        bool externalData = false,
        OnnxPrecision precision = OnnxPrecision.Float32,
        CancellationToken cancellationToken = default
    ) => Save(transformer, path, new Form(input, precision), externalData, OnnxImageModel.LargestModel, cancellationToken);

    /// <summary>Writes the model to a stream at its position and leaves it open.</summary>
    /// <param name="transformer">The classifier; stays as it is.</param>
    /// <param name="stream">Need not seek.</param>
    /// <param name="input">What the model takes.</param>
    /// <param name="precision">Of its weights.</param>
    /// <param name="cancellationToken">Ends the work soon; the stream may have a part of the model then.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such input or precision.</exception>
    /// <exception cref="NotSupportedException">The model is larger than the 2 GB that one ONNX file can have, or is to take images, which
    /// its CLIP pads.</exception>
    /// <exception cref="IOException">The stream cannot be written.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static void SaveAsOnnx(
        this DplTransformer transformer,
        Stream stream,
        OnnxInput input = OnnxInput.Pixels,
        OnnxPrecision precision = OnnxPrecision.Float32,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(stream);
        Save(transformer, stream, new Form(input, precision), OnnxImageModel.LargestModel, cancellationToken);
    }

    /// <summary>What of a model can be chosen.</summary>
    internal readonly record struct Form(OnnxInput Input = OnnxInput.Pixels, OnnxPrecision Precision = OnnxPrecision.Float32)
    {
        /// <exception cref="ArgumentOutOfRangeException">There is no such input or precision.</exception>
        public void Require()
        {
            if (!Enum.IsDefined(Input))
                throw new ArgumentOutOfRangeException("input", Input, "There is no such input.");
            if (!Enum.IsDefined(Precision))
                throw new ArgumentOutOfRangeException("precision", Precision, "There is no such precision.");
        }
    }

    internal static void Save(
        DplTransformer transformer,
        string path,
        Form form,
        bool externalData,
        long largest,
        CancellationToken cancellationToken
    )
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        FileOf(transformer, form, cancellationToken).Write(path, externalData, largest);
    }

    internal static void Save(DplTransformer transformer, Stream stream, Form form, long largest, CancellationToken cancellationToken) =>
        FileOf(transformer, form, cancellationToken).Write(stream, largest);

    private static OnnxModelFile FileOf(DplTransformer transformer, Form form, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(transformer);
        form.Require();
        return new OnnxModelFile(
            transformer.Use(classifier => OnnxClassifier.SizeOf(ClassifierArrays.From(classifier), form.Precision)),
            data =>
                transformer.Use(classifier =>
                    OnnxClassifier.Create(
                        ClassifierArrays.From(classifier),
                        OnnxMetadata.Create(transformer, form),
                        form.Input == OnnxInput.Image ? transformer.Preprocessing : null,
                        form.Precision,
                        data,
                        cancellationToken
                    )
                )
        );
    }
}
