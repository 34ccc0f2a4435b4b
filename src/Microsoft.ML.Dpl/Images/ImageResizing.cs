using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Images;

/// <summary>Resizes images as PIL does: bicubic with a = −½, antialiased, fixed-point with bytes between the two passes; colours weighted
/// by alpha where there is one.</summary>
internal static class ImageResizing
{
    /// <summary>An image as a tensor, its colours as they are and its alpha left out.</summary>
    /// <returns>[3, height, width] uint8 on the CPU, pixel by pixel in memory, in the caller's dispose scope.</returns>
    public static Tensor Opaque(RgbImage image)
    {
        LibTorch.EnsureLoaded();
        return AsTensor(image.Pixels, image.Height, image.Width);
    }

    /// <summary>An image as a tensor that <see cref="WithoutAlpha"/> finishes after resizing.</summary>
    /// <returns>
    /// uint8 on the CPU, in the caller's dispose scope: [3, height, width] where the image is opaque, else [4, height, width],
    /// the colours multiplied by alpha, then alpha.
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

    /// <summary>Divides the colours by alpha and leaves it out; wholly transparent pixels are black.</summary>
    /// <param name="image">[3 or 4, height, width] uint8 on the CPU; stays the caller's.</param>
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
            pixels[i] = alpha == 0 ? value : (byte)Math.Min(value * byte.MaxValue / alpha, byte.MaxValue);
        }
        return AsTensor(pixels, height, width).MoveToOuterDisposeScope();
    }

    /// <summary>Scales both sides alike; the long one is rounded down.</summary>
    /// <param name="image">[channels, height, width] uint8 on the CPU; stays the caller's.</param>
    /// <param name="size">Pixels of the short side.</param>
    /// <returns>[channels, height', width'] uint8, in the caller's dispose scope.</returns>
    public static Tensor ResizeShortSide(Tensor image, int size)
    {
        (long height, long width) = (image.shape[1], image.shape[2]);
        long shortSide = Math.Min(height, width);
        return shortSide == size ? image.alias() : Resize(image, (int)(height * size / shortSide), (int)(width * size / shortSide));
    }

    /// <param name="image">[channels, any, any] uint8 on the CPU; stays the caller's.</param>
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
