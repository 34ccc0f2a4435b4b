using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Turns files, encoded bytes and ML.NET images into 8-bit RGB.</summary>
internal static class ImageDecoder
{
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is not a picture that can be decoded.</exception>
    public static RgbImage FromFile(string path)
    {
        if (!File.Exists(path)) throw new FileNotFoundException($"There is no file '{path}'.", path);
        return FromBytes(File.ReadAllBytes(path), path);
    }

    /// <param name="encoded">The bytes of a JPEG, PNG, BMP or other picture file.</param>
    /// <param name="name">What the message calls the picture.</param>
    /// <exception cref="InvalidDataException">The bytes are not a picture that can be decoded.</exception>
    public static RgbImage FromBytes(byte[] encoded, string name)
    {
        try
        {
            using var image = MLImage.CreateFromStream(new MemoryStream(encoded, writable: false));
            return FromMLImage(image);
        }
        catch (ArgumentException e)
        {
            throw new InvalidDataException($"'{name}' is not a picture that can be decoded ({encoded.Length} bytes).", e);
        }
    }

    /// <summary>Copies the pixels; the image stays the caller's.</summary>
    public static RgbImage FromMLImage(MLImage image)
    {
        ReadOnlySpan<byte> pixels = image.Pixels;
        int red = image.PixelFormat == MLPixelFormat.Rgba32 ? 0 : 2;
        byte[] rgb = new byte[image.Width * image.Height * 3];
        for (int source = 0, target = 0; target < rgb.Length; source += 4, target += 3)
        {
            rgb[target] = pixels[source + red];
            rgb[target + 1] = pixels[source + 1];
            rgb[target + 2] = pixels[source + 2 - red];
        }
        return new RgbImage(image.Width, image.Height, rgb);
    }
}
