using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Images;

/// <summary>
/// CLIP's image preprocessing: the short side resized (bicubic, antialiased), the middle cropped, colours normalised.
/// Sizes and rounding are those of the reference's PIL route. Thread-safe.
/// </summary>
internal sealed class ClipImageProcessor
{
    /// <summary>Longer images are first cut to the middle part of this shape, of which the crop still sees only a small piece.</summary>
    public const int LongestShape = 32;

    public ClipImageProcessor(ClipImageProcessorConfig config) => Config = config;

    /// <summary>Sizes, means and deviations.</summary>
    public ClipImageProcessorConfig Config { get; }

    /// <summary>Rows and columns of a prepared image.</summary>
    public int ImageSize => Config.CropSize;

    /// <summary>Reads Hugging Face's <c>preprocessorConfig.json</c>.</summary>
    /// <param name="path">The file.</param>
    /// <param name="imageSize">What the image tower takes; the file's crop must be the same.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is malformed or asks for something else than CLIP's preprocessing.</exception>
    public static ClipImageProcessor FromFile(string path, int imageSize) => new(ClipImageProcessorConfig.Read(path, imageSize));

    /// <summary>The preprocessing of OpenAI's weights at <paramref name="imageSize"/> pixels a side.</summary>
    public static ClipImageProcessor Default(int imageSize) => new(ClipImageProcessorConfig.Default(imageSize));

    /// <summary>Resizes and crops an image. Returns [3, size, size] bytes, channel first.</summary>
    public byte[] Prepare(RgbImage image)
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        bool resizes = Math.Min(image.Width, image.Height) != Config.ShortSide; // as in PIL, alpha only plays a part in resizing
        return Prepare(resizes ? ImageResizing.WeightedByAlpha(image) : ImageResizing.Opaque(image)).bytes.ToArray();
    }

    /// <summary>Resizes and crops an image held as a tensor.</summary>
    /// <param name="image">uint8 on the CPU, [3, height, width], or [4, height, width] with colours weighted by alpha; stays the
    /// caller's.</param>
    /// <returns>[3, size, size] uint8, in the caller's dispose scope.</returns>
    public Tensor Prepare(Tensor image)
    {
        using var scope = NewDisposeScope();
        Tensor resized = ImageResizing.ResizeShortSide(MiddlePart(image), Config.ShortSide);
        return ImageResizing.WithoutAlpha(MiddleCrop(resized, ImageSize)).contiguous().MoveToOuterDisposeScope();
    }

    /// <summary>Turns bytes into what the image tower takes: (x / 255 − mean) / deviation for each channel.</summary>
    /// <param name="bytes">[batch, 3, height, width] uint8 on any device; stays the caller's.</param>
    /// <returns>[batch, 3, height, width] float32 on the same device, in the caller's dispose scope.</returns>
    public Tensor Normalise(Tensor bytes)
    {
        using var scope = NewDisposeScope();
        Tensor mean = NativeTensor.From(Config.Mean, [1, 3, 1, 1], bytes.device),
            deviation = NativeTensor.From(Config.Deviation, [1, 3, 1, 1], bytes.device);
        return bytes.to(ScalarType.Float32).div_(255f).sub_(mean).div_(deviation).MoveToOuterDisposeScope();
    }

    /// <summary>The part of an image that <see cref="Prepare(RgbImage)"/> keeps, in the image's pixels. It reaches beyond the image where
    /// the crop is padded.</summary>
    /// <param name="width">Pixels of the image, at least 1.</param>
    /// <param name="height">Likewise.</param>
    public (double X, double Y, double Width, double Height) CropOf(int width, int height)
    {
        long middleWidth = MiddleLength(width, height),
            middleHeight = MiddleLength(height, width),
            shortSide = Math.Min(middleWidth, middleHeight);
        (double x, double across) = Along(width, middleWidth);
        (double y, double down) = Along(height, middleHeight);
        return (x, y, across, down);

        (double Start, double Length) Along(long whole, long middle)
        {
            long resized = middle * Config.ShortSide / shortSide;
            double scale = (double)middle / resized;
            return ((whole - middle) / 2 + CropStart(resized, ImageSize) * scale, ImageSize * scale);
        }
    }

    /// <summary>Keeps extreme shapes (a line of 1 × 100,000 pixels) from growing beyond memory; the crop moves by less than a tenth of a
    /// pixel.</summary>
    private static Tensor MiddlePart(Tensor image)
    {
        for (int side = 1; side <= 2; side++)
        {
            long length = image.shape[side],
                middle = MiddleLength(length, image.shape[3 - side]);
            if (middle < length)
                image = image.narrow(side, (length - middle) / 2, middle);
        }
        return image;
    }

    private static long MiddleLength(long length, long other)
    {
        long longest = LongestShape * other;
        return length <= longest ? length : longest - (length - longest) % 2; // the same number of pixels goes at both ends
    }

    private static Tensor MiddleCrop(Tensor image, int size)
    {
        for (int side = 1; side <= 2; side++)
        {
            long length = image.shape[side],
                start = CropStart(length, size);
            if (length >= size)
            {
                image = image.narrow(side, start, size);
                continue;
            }
            image = nn.functional.pad(image, side == 2 ? [-start, size - length + start] : [0, 0, -start, size - length + start]);
        }
        return image;
    }

    /// <summary>The first pixel of a middle crop; negative where it is padded.</summary>
    private static long CropStart(long length, int size) =>
        length >= size ? (long)Math.Round((length - size) / 2.0) : -((size - length) / 2);
}
