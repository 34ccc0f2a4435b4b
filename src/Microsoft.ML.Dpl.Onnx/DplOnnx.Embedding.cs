using Microsoft.ML.Dpl.Embedding;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Onnx;

namespace Microsoft.ML.Dpl;

// CLIP's vectors of images and texts.
public static partial class DplOnnx
{
    /// <summary>Writes an embedding to a file, whole or not at all.</summary>
    /// <remarks>
    /// <para>That of images takes what the model of a classifier does; that of texts takes <c>tokens</c>, <c>int64</c> [batch, length]: the
    /// ids of CLIP's vocabulary from start to end, with zeros behind the end of those that are shorter. Both give <c>embedding</c>,
    /// <c>float</c> [batch, width]: the vectors of the transformer's output column.</para>
    /// <para>The metadata hold how images are prepared or texts become tokens, whether vectors are <c>normalized</c>, and the CLIP.</para>
    /// </remarks>
    /// <param name="transformer">The embedding; stays as it is.</param>
    /// <param name="path">Where it goes, usually named .onnx; a file there is replaced once the new one is whole.</param>
    /// <param name="input">What the model of images takes; that of texts takes tokens, and leaves this as it is.</param>
    /// <param name="externalData">
    /// Whether the weights go into a second file, which is called as the first with .data behind it and must stay beside it under that
    /// name. A model of more than the 2 GB that one ONNX file can have is written so in any case.
    /// </param>
    /// <param name="precision">Of its weights.</param>
    /// <param name="cancellationToken">Ends the work soon, with nothing written.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such input or precision.</exception>
    /// <exception cref="NotSupportedException">The model is to take images, which its CLIP pads, or has none, since it embeds
    /// texts.</exception>
    /// <exception cref="IOException">The place cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
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

    /// <summary>Writes an embedding to a stream at its position and leaves it open; see
    /// <see cref="SaveAsOnnx(ClipEmbeddingTransformer, string, OnnxInput, bool, OnnxPrecision, CancellationToken)"/>.</summary>
    /// <param name="transformer">The embedding; stays as it is.</param>
    /// <param name="stream">Need not seek.</param>
    /// <param name="input">What the model of images takes; that of texts takes tokens, and leaves this as it is.</param>
    /// <param name="precision">Of its weights.</param>
    /// <param name="cancellationToken">Ends the work soon; the stream may have a part of the model then.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such input or precision.</exception>
    /// <exception cref="NotSupportedException">The model is larger than the 2 GB that one ONNX file can have, or is to take images, which
    /// its CLIP pads, or has none, since it embeds texts.</exception>
    /// <exception cref="IOException">The stream cannot be written.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
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
                $"The column '{transformer.OutputColumnName}' embeds texts, so its ONNX model takes tokens and no image: leave input at "
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
