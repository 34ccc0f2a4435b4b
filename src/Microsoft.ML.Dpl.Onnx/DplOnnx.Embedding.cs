using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Onnx;

namespace Microsoft.ML.Dpl;

// CLIP's vectors of images.
public static partial class DplOnnx
{
    /// <summary>Writes an embedding of images to a file, whole or not at all.</summary>
    /// <remarks>The model takes what that of a classifier does, and gives <c>embedding</c>, <c>float</c> [batch, width]: the vectors of
    /// the transformer's output column. The metadata hold how images are prepared, whether vectors are <c>normalized</c>, and the
    /// CLIP.</remarks>
    /// <param name="transformer">Of a column of images; stays as it is.</param>
    /// <param name="path">Where it goes, usually named .onnx; a file there is replaced once the new one is whole.</param>
    /// <param name="input">What the model takes.</param>
    /// <param name="externalData">
    /// Whether the weights go into a second file, which is called as the first with .data behind it and must stay beside it under that
    /// name. A model of more than the 2 GB that one ONNX file can have is written so in any case.
    /// </param>
    /// <param name="precision">Of its weights.</param>
    /// <param name="cancellationToken">Ends the work soon, with nothing written.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such input or precision.</exception>
    /// <exception cref="NotSupportedException">The transformer embeds texts, or the model is to take images, which its CLIP
    /// pads.</exception>
    /// <exception cref="IOException">The place cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static void SaveAsOnnx(
        this ClipEmbeddingTransformer transformer,
        string path,
        DplOnnxInput input = DplOnnxInput.Pixels,
        bool externalData = false,
        DplOnnxPrecision precision = DplOnnxPrecision.Float32,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        FileOf(transformer, new Form(input, precision), cancellationToken).Write(path, externalData, OnnxImageModel.LargestModel);
    }

    /// <summary>Writes an embedding of images to a stream at its position and leaves it open.</summary>
    /// <param name="transformer">Of a column of images; stays as it is.</param>
    /// <param name="stream">Need not seek.</param>
    /// <param name="input">What the model takes.</param>
    /// <param name="precision">Of its weights.</param>
    /// <param name="cancellationToken">Ends the work soon; the stream may have a part of the model then.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such input or precision.</exception>
    /// <exception cref="NotSupportedException">The transformer embeds texts, the model is larger than the 2 GB that one ONNX file can have,
    /// or is to take images, which its CLIP pads.</exception>
    /// <exception cref="IOException">The stream cannot be written.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static void SaveAsOnnx(
        this ClipEmbeddingTransformer transformer,
        Stream stream,
        DplOnnxInput input = DplOnnxInput.Pixels,
        DplOnnxPrecision precision = DplOnnxPrecision.Float32,
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
        return new OnnxModelFile(transformer.UseTower((tower, _) => OnnxEmbedding.SizeOf(TowerArrays.From(tower), form.Precision)), data =>
            transformer.UseTower(
                (tower, preprocessing) =>
                    OnnxEmbedding.Create(
                        TowerArrays.From(tower),
                        transformer.IsNormalized,
                        OnnxMetadata.Create(transformer, preprocessing, form),
                        form.Input == DplOnnxInput.Image ? preprocessing : null,
                        form.Precision,
                        data,
                        cancellationToken
                    )
            )
        );
    }
}
