using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Onnx;

namespace Microsoft.ML.Dpl;

/// <summary>Exports trained classifiers, and embeddings of images and texts, as ONNX models, which ONNX Runtime and others can run without
/// libtorch and CLIP's files.</summary>
/// <remarks>
/// <para>The model of a classifier is the image tower with the prompts folded in and the classes' text features, in the requested
/// precision.</para>
/// <list type="table">
/// <listheader><term>Value</term><description>Type</description></listheader>
/// <item><term>pixels (input)</term><description><c>float</c> [batch, 3, size, size]: images as returned by
/// <see cref="DplTransformer.Pixels(string)"/></description></item>
/// <item><term>image (input)</term><description>instead of pixels, with <see cref="OnnxInput.Image"/>: <c>uint8</c> [height, width, 3], one
/// image; the batch size is then 1</description></item>
/// <item><term>logits (output)</term><description><c>float</c> [batch, classes]: cosine similarities times the logit
/// scale</description></item>
/// <item><term>probabilities (output)</term><description><c>float</c> [batch, classes]: the softmax of the logits, which are the
/// transformer's scores</description></item>
/// </list>
/// <para>The model's metadata contains further information as text, with lists as JSON: <c>input</c>; <c>precision</c>; <c>classes</c> in
/// the order of the outputs; <c>image_size</c>, <c>resize_short_side</c>, <c>resize</c>, <c>crop</c>, <c>channels</c>, <c>mean</c>,
/// <c>std</c> and <c>apply_exif_orientation</c>, the preprocessing of images; <c>max_image_pixels</c>, above which the transformer does not
/// decode a file; <c>template</c>, <c>configuration</c>, <c>backbone</c>, <c>backbone_sha256</c> and <c>library</c>, the origin of the
/// model; <c>mixture</c>, the <c>candidates</c>, <c>text_weights</c> and <c>image_weights</c> of <see cref="DplTransformer.Mixture"/>, if
/// there is one; and <c>context</c>, <c>templates</c>, <c>design</c> and <c>threshold</c>, if there are any, of which all but the threshold
/// are already part of the weights and class features. The same transformer always gives the same bytes.</para>
/// </remarks>
public static partial class DplOnnx
{
    /// <summary>Writes the model to a file, atomically.</summary>
    /// <param name="transformer">The classifier; it is not changed.</param>
    /// <param name="path">The file, usually with the extension .onnx; an existing file is replaced once the new one is complete.</param>
    /// <param name="input">The kind of the model's input.</param>
    /// <param name="externalData">
    /// Whether to write the weights to a second file, which has the name of the first followed by .data and must stay next to it under that
    /// name. A model above the 2 GB limit of an ONNX file is always written like this.
    /// </param>
    /// <param name="precision">Precision of the weights.</param>
    /// <param name="cancellationToken">Cancels the export; nothing is written.</param>
    /// <exception cref="ArgumentOutOfRangeException">The input or the precision is not a defined value.</exception>
    /// <exception cref="NotSupportedException">The input is an image, but the CLIP's preprocessing pads images.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the file is denied.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public static void SaveAsOnnx(
        this DplTransformer transformer,
        string path,
        OnnxInput input = OnnxInput.Pixels,
        bool externalData = false,
        OnnxPrecision precision = OnnxPrecision.Float32,
        CancellationToken cancellationToken = default
    ) => Save(transformer, path, new Form(input, precision), externalData, OnnxImageModel.LargestModel, cancellationToken);

    /// <summary>Writes the model at a stream's current position and leaves the stream open.</summary>
    /// <param name="transformer">The classifier; it is not changed.</param>
    /// <param name="stream">The stream, which need not be seekable.</param>
    /// <param name="input">The kind of the model's input.</param>
    /// <param name="precision">Precision of the weights.</param>
    /// <param name="cancellationToken">Cancels the export; the stream may then contain a part of the model.</param>
    /// <exception cref="ArgumentOutOfRangeException">The input or the precision is not a defined value.</exception>
    /// <exception cref="NotSupportedException">The model exceeds the 2 GB limit of an ONNX file, or the input is an image but the CLIP's
    /// preprocessing pads images.</exception>
    /// <exception cref="IOException">The stream cannot be written to.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
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

    /// <summary>The input and precision of a model.</summary>
    internal readonly record struct Form(OnnxInput Input = OnnxInput.Pixels, OnnxPrecision Precision = OnnxPrecision.Float32)
    {
        /// <exception cref="ArgumentOutOfRangeException">The input or the precision is not a defined value.</exception>
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
