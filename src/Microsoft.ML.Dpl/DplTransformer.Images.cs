using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;

namespace Microsoft.ML.Dpl;

// Predictions, explanations and preprocessing for single images.
public sealed partial class DplTransformer
{
    /// <summary>Whether images are rotated and mirrored according to their EXIF orientation; see
    /// <see cref="DplTrainer.ImageOptions.ApplyExifOrientation"/>.</summary>
    public bool ApplyExifOrientation => _description.ApplyExifOrientation;

    /// <summary>The most pixels an image file may have; see <see cref="DplTrainer.ImageOptions.MaxPixels"/>.</summary>
    public long MaxImagePixels => _description.Reading.MaximumPixels;

    /// <summary>Reads an image file as for predictions: with at most <see cref="MaxImagePixels"/>, upright if
    /// <see cref="ApplyExifOrientation"/> is set, and with a relative path resolved against the model's image folder.</summary>
    /// <param name="path">A PNG, JPEG, GIF, BMP or WebP file.</param>
    /// <returns>An Rgba32 image with premultiplied alpha, as in ML.NET, and the path as its tag; for <see cref="ClassExplanation.Draw"/>
    /// and <see cref="Explain(MLImage, string?)"/>. The caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is not an image that can be decoded, or it has too many pixels.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the file is denied.</exception>
    public MLImage ReadImage(string path)
    {
        RgbImage image = Decode(path, out string opened);
        byte[] pixels = GC.AllocateUninitializedArray<byte>(checked(image.Width * image.Height * 4));
        for (int i = 0; i < pixels.Length; i++)
        {
            byte alpha = image.Alpha?[i / 4] ?? byte.MaxValue;
            pixels[i] = i % 4 == 3 ? alpha : (byte)((image.Pixels[i / 4 * 3 + i % 4] * alpha + byte.MaxValue / 2) / byte.MaxValue);
        }
        MLImage read = MLImage.CreateFromPixels(image.Width, image.Height, MLPixelFormat.Rgba32, pixels);
        read.Tag = opened;
        return read;
    }

    /// <summary>Classifies one image file without a data view. The image is read as by <see cref="ReadImage"/>, and the scores are those
    /// that <see cref="Transform(IDataView)"/> gives for this image alone. For many images, <c>Transform</c> is faster, because it works in
    /// batches.</summary>
    /// <param name="path">A PNG, JPEG, GIF, BMP or WebP file.</param>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is not an image that can be decoded, or it has too many pixels.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the file is denied.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public ImagePrediction Predict(string path) => Predict(Decode(path, out _));

    /// <summary>Classifies one image, like <see cref="Predict(string)"/>. Thread-safe.</summary>
    /// <param name="image">A Bgra32 or Rgba32 image of any size; still owned by the caller.</param>
    /// <exception cref="InvalidDataException">The image has a different pixel format.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public ImagePrediction Predict(MLImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        return Predict(ImageDecoder.FromMLImage(image));
    }

    private ImagePrediction Predict(RgbImage image) => ImagePrediction.Create(_scores, _scorer, image);

    /// <summary>Shows which parts of an image file support a class, like <see cref="Explain(MLImage, string?)"/>, with the image read as by
    /// <see cref="ReadImage"/>.</summary>
    /// <param name="path">A PNG, JPEG, GIF, BMP or WebP file.</param>
    /// <param name="className">One of <see cref="ClassNames"/>; null for the most probable class.</param>
    /// <exception cref="ArgumentException">There is no class of this name; the message lists the classes.</exception>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is not an image that can be decoded, or it has too many pixels.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the file is denied.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public ClassExplanation Explain(string path, string? className = null)
    {
        int? chosen = className is null ? null : _columns.Classes.IndexOf(className);
        return Explain(Decode(path, out _), chosen);
    }

    /// <summary>The input of this model's image tower for an image file: read as by <see cref="ReadImage"/>, resized, cropped and
    /// normalised. This is also the input for a model exported to ONNX.</summary>
    /// <param name="path">A PNG, JPEG, GIF, BMP or WebP file.</param>
    /// <returns>[3, size, size], row by row, where size is the <see cref="ClipConfig.ImageSize"/> of the <see cref="Backbone"/>: all red
    /// values, then green, then blue; each is (value / 255 − mean) / deviation.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is not an image that can be decoded, or it has too many pixels.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the file is denied.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public float[] Pixels(string path) => _scorer.Pixels(Decode(path, out _));

    /// <summary>The input of this model's image tower for an image; see <see cref="Pixels(string)"/>.</summary>
    /// <param name="image">A Bgra32 or Rgba32 image of any size; still owned by the caller.</param>
    /// <returns>[3, size, size], row by row.</returns>
    /// <exception cref="InvalidDataException">The image has a different pixel format.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public float[] Pixels(MLImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        return _scorer.Pixels(ImageDecoder.FromMLImage(image));
    }

    private RgbImage Decode(string path, out string opened)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        opened = _description.Reading.PathOf(path);
        return _description.Reading.FromFile(opened);
    }
}
