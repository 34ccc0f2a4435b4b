using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Images;

/// <summary>
/// CLIP's image preprocessing: resize by the shorter side (bicubic, antialiased), centre crop, normalisation. Sizes and rounding are those
/// of the reference implementation with PIL. Thread-safe.
/// </summary>
internal sealed class ClipImageProcessor
{
    /// <summary>The largest supported aspect ratio. Longer images are first cut to their middle part with this ratio, of which the crop
    /// covers only a small piece.</summary>
    public const int LongestShape = 32;

    public ClipImageProcessor(ClipImageProcessorConfig config) => Config = config;

    /// <summary>Sizes, means and deviations.</summary>
    public ClipImageProcessorConfig Config { get; }

    /// <summary>The number of rows, and of columns, of a prepared image.</summary>
    public int ImageSize => Config.CropSize;

    /// <summary>Reads Hugging Face's <c>preprocessor_config.json</c>.</summary>
    /// <param name="path">The file.</param>
    /// <param name="imageSize">The side of the image tower's input in pixels; the file's crop size must be the same.</param>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is malformed, or specifies preprocessing other than CLIP's.</exception>
    public static ClipImageProcessor FromFile(string path, int imageSize) => new(ClipImageProcessorConfig.Read(path, imageSize));

    /// <summary>The preprocessing of OpenAI's CLIPs with <paramref name="imageSize"/> pixels per side.</summary>
    public static ClipImageProcessor Default(int imageSize) => new(ClipImageProcessorConfig.Default(imageSize));

    /// <summary>Resizes and crops an image. Returns [3, size, size] bytes, channel first. Needs no libtorch.</summary>
    public byte[] Prepare(RgbImage image)
    {
        int size = ImageSize,
            partWidth = (int)MiddleLength(image.Width, image.Height),
            partHeight = (int)MiddleLength(image.Height, image.Width),
            shortSide = Math.Min(partWidth, partHeight),
            width = (int)((long)partWidth * Config.ShortSide / shortSide),
            height = (int)((long)partHeight * Config.ShortSide / shortSide);
        var part = new PixelArea((image.Width - partWidth) / 2, (image.Height - partHeight) / 2, partWidth, partHeight);
        (int left, int top) = (CropStart(width, size), CropStart(height, size));
        var crop = new PixelArea(Math.Max(left, 0), Math.Max(top, 0), Math.Min(size, width), Math.Min(size, height));
        // As in PIL, alpha matters only for resizing.
        byte[] kept =
            shortSide == Config.ShortSide ? CropResize.Cut(image, part, crop) : CropResize.Resize(image, part, width, height, crop);

        byte[] prepared = new byte[3 * size * size];
        for (int y = 0; y < crop.Height; y++)
        {
            ReadOnlySpan<byte> row = kept.AsSpan(y * crop.Width * 3, crop.Width * 3);
            for (int channel = 0; channel < 3; channel++)
            {
                // Padding outside the image stays 0.
                Span<byte> plane = prepared.AsSpan((channel * size + y - Math.Min(top, 0)) * size - Math.Min(left, 0), crop.Width);
                for (int x = 0; x < plane.Length; x++)
                    plane[x] = row[x * 3 + channel];
            }
        }
        return prepared;
    }

    /// <summary>Resizes and crops an image held as a tensor.</summary>
    /// <param name="image">uint8 on the CPU, [3, height, width], or [4, height, width] with colours premultiplied by alpha; still owned by
    /// the caller.</param>
    /// <returns>[3, size, size] uint8, in the caller's dispose scope.</returns>
    public Tensor Prepare(Tensor image)
    {
        using var scope = NewDisposeScope();
        Tensor resized = ImageResizing.ResizeShortSide(MiddlePart(image), Config.ShortSide);
        return ImageResizing.WithoutAlpha(MiddleCrop(resized, ImageSize)).contiguous().MoveToOuterDisposeScope();
    }

    /// <summary>Converts bytes to the image tower's input: (x / 255 − mean) / deviation per channel.</summary>
    /// <param name="bytes">[batch, 3, height, width] uint8 on any device; still owned by the caller.</param>
    /// <returns>[batch, 3, height, width] float32 on the same device, in the caller's dispose scope.</returns>
    public Tensor Normalise(Tensor bytes)
    {
        using var scope = NewDisposeScope();
        Tensor mean = NativeTensor.From(Config.Mean, [1, 3, 1, 1], bytes.device),
            deviation = NativeTensor.From(Config.Deviation, [1, 3, 1, 1], bytes.device);
        return bytes.to(ScalarType.Float32).OverInPlace(255).sub_(mean).div_(deviation).MoveToOuterDisposeScope();
    }

    /// <summary>The part of an image that <see cref="Prepare(RgbImage)"/> keeps, in pixels of the image. It extends beyond the image where
    /// the crop is padded.</summary>
    /// <param name="width">Width of the image in pixels, at least 1.</param>
    /// <param name="height">Height of the image in pixels, at least 1.</param>
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

    /// <summary>Prevents extreme aspect ratios (such as 1 × 100,000 pixels) from exhausting memory when resized; the crop moves by less
    /// than a tenth of a pixel.</summary>
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
        return length <= longest ? length : longest - (length - longest) % 2; // the same number of pixels is cut at both ends
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

    /// <summary>The first pixel of a centre crop; negative if the image is padded.</summary>
    private static int CropStart(long length, int size) =>
        length >= size ? (int)Math.Round((length - size) / 2.0) : -((size - (int)length) / 2);
}

/// <summary>Resizes images like PIL: bicubic with a = −½, antialiased, in fixed point with bytes between the two passes; colours
/// premultiplied by alpha if there is any.</summary>
internal static class ImageResizing
{
    /// <summary>An image as a tensor, with unmodified colours and without alpha.</summary>
    /// <returns>[3, height, width] uint8 on the CPU, channels last in memory, in the caller's dispose scope.</returns>
    public static Tensor Opaque(RgbImage image)
    {
        LibTorch.EnsureLoaded();
        return AsTensor(image.Pixels, image.Height, image.Width);
    }

    /// <summary>An image as a tensor with premultiplied alpha, which <see cref="WithoutAlpha"/> removes after resizing.</summary>
    /// <returns>
    /// uint8 on the CPU, in the caller's dispose scope: [3, height, width] if the image is opaque, otherwise [4, height, width] with the
    /// colours multiplied by alpha, followed by alpha.
    /// </returns>
    public static Tensor WeightedByAlpha(RgbImage image)
    {
        if (image.Alpha is not { } alpha)
            return Opaque(image);
        LibTorch.EnsureLoaded();
        byte[] pixels = new byte[alpha.Length * 4];
        for (int i = 0; i < alpha.Length; i++)
        {
            for (int channel = 0; channel < 3; channel++)
                pixels[i * 4 + channel] = (byte)((image.Pixels[i * 3 + channel] * alpha[i] + 127) / byte.MaxValue);
            pixels[i * 4 + 3] = alpha[i];
        }
        return AsTensor(pixels, image.Height, image.Width);
    }

    /// <summary>Divides the colours by alpha and drops alpha; fully transparent pixels are black.</summary>
    /// <param name="image">[3 or 4, height, width] uint8 on the CPU; still owned by the caller.</param>
    /// <returns>[3, height, width] uint8, in the caller's dispose scope.</returns>
    public static Tensor WithoutAlpha(Tensor image)
    {
        if (image.shape[0] == 3)
            return image.alias();
        using var scope = NewDisposeScope();
        (int height, int width) = ((int)image.shape[1], (int)image.shape[2]);
        ReadOnlySpan<byte> weighted = image.permute(1, 2, 0).contiguous().bytes;
        byte[] pixels = new byte[height * width * 3];
        for (int i = 0; i < pixels.Length; i++)
        {
            (byte value, byte alpha) = (weighted[i / 3 * 4 + i % 3], weighted[i / 3 * 4 + 3]);
            pixels[i] = CropResize.WithoutAlpha(value, alpha);
        }
        return AsTensor(pixels, height, width).MoveToOuterDisposeScope();
    }

    /// <summary>Resizes the shorter side to a given size, keeping the aspect ratio; the longer side is rounded down.</summary>
    /// <param name="image">[channels, height, width] uint8 on the CPU; still owned by the caller.</param>
    /// <param name="size">Length of the shorter side in pixels.</param>
    /// <returns>[channels, height', width'] uint8, in the caller's dispose scope.</returns>
    public static Tensor ResizeShortSide(Tensor image, int size)
    {
        (long height, long width) = (image.shape[1], image.shape[2]);
        long shortSide = Math.Min(height, width);
        return shortSide == size ? image.alias() : Resize(image, (int)(height * size / shortSide), (int)(width * size / shortSide));
    }

    /// <param name="image">[channels, any, any] uint8 on the CPU; still owned by the caller.</param>
    /// <param name="height">Rows of the result.</param>
    /// <param name="width">Columns of the result.</param>
    /// <returns>[channels, height, width] uint8, in the caller's dispose scope.</returns>
    public static Tensor Resize(Tensor image, int height, int width)
    {
        using var scope = NewDisposeScope();
        return nn
            .functional.interpolate(
                image.unsqueeze(0),
                [height, width],
                mode: InterpolationMode.Bicubic,
                align_corners: false,
                antialias: true
            )
            .squeeze(0)
            .MoveToOuterDisposeScope();
    }

    private static Tensor AsTensor(byte[] pixels, int height, int width)
    {
        using var scope = NewDisposeScope();
        return tensor(pixels, [height, width, pixels.Length / (height * width)], ScalarType.Byte)
            .permute(2, 0, 1)
            .MoveToOuterDisposeScope();
    }
}
