using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;

namespace Microsoft.ML.Dpl;

// Image files as this model sees them.
public sealed partial class DplTransformer
{
    /// <summary>Whether images are turned and mirrored as their files ask; see
    /// <see cref="DplTrainer.ImageOptions.ApplyExifOrientation"/>.</summary>
    public bool ApplyExifOrientation => _description.ApplyExifOrientation;

    /// <summary>The most pixels an image file may have; see <see cref="DplTrainer.ImageOptions.MaxPixels"/>.</summary>
    public long MaxImagePixels => _description.Reading.MaximumPixels;

    /// <summary>Reads an image file as predictions do: within <see cref="MaxImagePixels"/>, upright if <see cref="ApplyExifOrientation"/>
    /// says so, a relative path from the model's image folder.</summary>
    /// <param name="path">A PNG, JPEG, GIF, BMP or WebP file.</param>
    /// <returns>Rgba32, colours multiplied by alpha as ML.NET keeps them, the path as its tag: for <see cref="ClassExplanation.Draw"/>, and
    /// for <see cref="Explain(MLImage, string?)"/>. The caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is no image that can be decoded, or one of too many pixels.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
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

    /// <summary>Classifies one image file, without a data view: read as <see cref="ReadImage"/> reads it, with the scores that
    /// <see cref="Transform(IDataView)"/> gives of this image alone. Many images are done faster by <c>Transform</c>, in batches.</summary>
    /// <param name="path">A PNG, JPEG, GIF, BMP or WebP file.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is no image that can be decoded, or one of too many pixels.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public ImagePrediction Predict(string path) => Predict(Decode(path, out _));

    /// <summary>Classifies one image; as <see cref="Predict(string)"/>. Any number of threads may call it at once.</summary>
    /// <param name="image">Bgra32 or Rgba32, of any size; stays the caller's.</param>
    /// <exception cref="InvalidDataException">The image has another pixel format.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public ImagePrediction Predict(MLImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        return Predict(ImageDecoder.FromMLImage(image));
    }

    private ImagePrediction Predict(RgbImage image) => ImagePrediction.Create(_scores, _scorer, image);

    /// <summary>Shows which parts of an image file speak for a class; as <see cref="Explain(MLImage, string?)"/>, on the image as
    /// <see cref="ReadImage"/> reads it.</summary>
    /// <param name="path">A PNG, JPEG, GIF, BMP or WebP file.</param>
    /// <param name="className">One of <see cref="ClassNames"/>; null: the most probable class.</param>
    /// <exception cref="ArgumentException">There is no class of this name; the message lists the classes.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is no image that can be decoded, or one of too many pixels.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public ClassExplanation Explain(string path, string? className = null)
    {
        int? chosen = className is null ? null : _columns.Classes.IndexOf(className);
        return Explain(Decode(path, out _), chosen);
    }

    /// <summary>An image file as this model's image tower takes it: read as <see cref="ReadImage"/> does, resized, cropped and normalised.
    /// It is what a model in ONNX is to be given.</summary>
    /// <param name="path">A PNG, JPEG, GIF, BMP or WebP file.</param>
    /// <returns>[3, size, size], row by row, size being <see cref="ClipConfig.ImageSize"/> of the <see cref="Backbone"/>: all of red, then
    /// green, then blue; (value / 255 − mean) / deviation.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is no image that can be decoded, or one of too many pixels.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public float[] Pixels(string path) => _scorer.Pixels(Decode(path, out _));

    /// <summary>An image as this model's image tower takes it; as <see cref="Pixels(string)"/>.</summary>
    /// <param name="image">Bgra32 or Rgba32, of any size; stays the caller's.</param>
    /// <returns>[3, size, size], row by row.</returns>
    /// <exception cref="InvalidDataException">The image has another pixel format.</exception>
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
