using Microsoft.ML.Dpl.Embedding;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Onnx;

namespace Microsoft.ML.Dpl;

// Export of image and text embeddings.
public static partial class DplOnnx
{
    /// <summary>Writes an embedding model to a file, atomically.</summary>
    /// <remarks>
    /// <para>An image embedding has the same input as a classifier's model. A text embedding has the input <c>tokens</c>, <c>int64</c>
    /// [batch, length]: token ids of CLIP's vocabulary from the start to the end token, padded with zeros after the end. Both have the
    /// output <c>embedding</c>, <c>float</c> [batch, width]: the vectors of the transformer's output column.</para>
    /// <para>The metadata describes the preprocessing of images or the tokenization of texts, whether vectors are <c>normalized</c>, and
    /// the CLIP.</para>
    /// </remarks>
    /// <param name="transformer">The embedding; it is not changed.</param>
    /// <param name="path">The file, usually with the extension .onnx; an existing file is replaced once the new one is complete.</param>
    /// <param name="input">The kind of an image embedding's input; for a text embedding, whose input is tokens, leave the default.</param>
    /// <param name="externalData">
    /// Whether to write the weights to a second file, which has the name of the first followed by .data and must stay next to it under that
    /// name. A model above the 2 GB limit of an ONNX file is always written like this.
    /// </param>
    /// <param name="precision">Precision of the weights.</param>
    /// <param name="cancellationToken">Cancels the export; nothing is written.</param>
    /// <exception cref="ArgumentOutOfRangeException">The input or the precision is not a defined value.</exception>
    /// <exception cref="NotSupportedException">The input is an image, but the CLIP's preprocessing pads images or the transformer embeds
    /// texts.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the file is denied.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public static void SaveAsOnnx(
        this ClipEmbeddingTransformer transformer,
        string path,
        OnnxInput input = OnnxInput.Pixels,
        bool externalData = false,
        OnnxPrecision precision = OnnxPrecision.Float32,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        FileOf(transformer, new Form(input, precision), cancellationToken).Write(path, externalData, OnnxImageModel.LargestModel);
    }

    /// <summary>Writes an embedding model at a stream's current position and leaves the stream open; see
    /// <see cref="SaveAsOnnx(ClipEmbeddingTransformer, string, OnnxInput, bool, OnnxPrecision, CancellationToken)"/>.</summary>
    /// <param name="transformer">The embedding; it is not changed.</param>
    /// <param name="stream">The stream, which need not be seekable.</param>
    /// <param name="input">The kind of an image embedding's input; for a text embedding, whose input is tokens, leave the default.</param>
    /// <param name="precision">Precision of the weights.</param>
    /// <param name="cancellationToken">Cancels the export; the stream may then contain a part of the model.</param>
    /// <exception cref="ArgumentOutOfRangeException">The input or the precision is not a defined value.</exception>
    /// <exception cref="NotSupportedException">The model exceeds the 2 GB limit of an ONNX file; or the input is an image, but the CLIP's
    /// preprocessing pads images or the transformer embeds texts.</exception>
    /// <exception cref="IOException">The stream cannot be written to.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public static void SaveAsOnnx(
        this ClipEmbeddingTransformer transformer,
        Stream stream,
        OnnxInput input = OnnxInput.Pixels,
        OnnxPrecision precision = OnnxPrecision.Float32,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(stream);
        FileOf(transformer, new Form(input, precision), cancellationToken).Write(stream, OnnxImageModel.LargestModel);
    }

    private static OnnxModelFile FileOf(ClipEmbeddingTransformer transformer, Form form, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(transformer);
        form.Require();
        if (transformer.Description.Input == EmbeddedInput.Text)
            return TextFileOf(transformer, form, cancellationToken);
        return new OnnxModelFile(transformer.UseTower((tower, _) => OnnxEmbedding.SizeOf(TowerArrays.From(tower), form.Precision)), data =>
            transformer.UseTower(
                (tower, preprocessing) =>
                    OnnxEmbedding.Create(
                        TowerArrays.From(tower),
                        transformer.IsNormalized,
                        OnnxMetadata.Create(transformer, preprocessing, form),
                        form.Input == OnnxInput.Image ? preprocessing : null,
                        form.Precision,
                        data,
                        cancellationToken
                    )
            )
        );
    }

    private static OnnxModelFile TextFileOf(ClipEmbeddingTransformer transformer, Form form, CancellationToken cancellationToken)
    {
        if (form.Input == OnnxInput.Image)
            throw new NotSupportedException(
                $"The column '{transformer.OutputColumnName}' embeds texts, so its ONNX model takes tokens, not images: leave input at "
                    + $"{nameof(OnnxInput)}.{nameof(OnnxInput.Pixels)}."
            );
        return new OnnxModelFile(transformer.UseTextTower((weights, _) => OnnxTextEmbedding.SizeOf(weights.Config, form.Precision)), data =>
            transformer.UseTextTower(
                (weights, tokenizer) =>
                    OnnxTextEmbedding.Create(
                        TextTowerArrays.From(weights),
                        transformer.IsNormalized,
                        OnnxMetadata.Create(transformer, weights.Config, tokenizer, form.Precision),
                        form.Precision,
                        data,
                        cancellationToken
                    )
            )
        );
    }
}
