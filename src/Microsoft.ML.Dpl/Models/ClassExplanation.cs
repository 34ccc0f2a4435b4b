using System.Drawing;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Drawing;

namespace Microsoft.ML.Dpl;

/// <summary>Which parts of an image support a class: gradient-weighted attention rollout (Chefer, Gur, Wolf, ICCV 2021, arXiv 2103.15679)
/// over the prompted image tower.</summary>
/// <remarks>Relevance shows where the evidence for this class lies, not how much of it there is: each map is scaled separately, so values
/// of maps for different classes or images cannot be compared.</remarks>
public sealed class ClassExplanation
{
    private readonly int _width,
        _height;

    internal ClassExplanation(
        string className,
        float probability,
        int rows,
        int columns,
        IReadOnlyList<float> patches,
        RectangleF seenPart,
        int width,
        int height
    )
    {
        (ClassName, Probability, Rows, Columns, SeenPart) = (className, probability, rows, columns, seenPart);
        (_width, _height) = (width, height);
        float lowest = patches.Min(),
            range = patches.Max() - lowest;
        Relevance = Array.AsReadOnly(patches.Select(value => range > 0 ? (value - lowest) / range : 0).ToArray());
    }

    /// <summary>The explained class.</summary>
    public string ClassName { get; }

    /// <summary>The model's probability of that class, 0 to 1.</summary>
    public float Probability { get; }

    /// <summary>Number of patches from top to bottom.</summary>
    public int Rows { get; }

    /// <summary>Number of patches from left to right.</summary>
    public int Columns { get; }

    /// <summary><see cref="Rows"/> × <see cref="Columns"/> numbers, row by row, from 0 for the least relevant patch to 1 for the most
    /// relevant; all 0 if all patches are equally relevant.</summary>
    public IReadOnlyList<float> Relevance { get; }

    /// <summary>
    /// The part of the image that the patches cover, in pixels of the image: the square of CLIP's centre crop. It extends beyond the image
    /// only if the preprocessing pads the image.
    /// </summary>
    public RectangleF SeenPart { get; }

    /// <summary>Draws the map over the image, smoothly enlarged, from dark violet (0) over green to yellow (1). Pixels outside
    /// <see cref="SeenPart"/> are unchanged.</summary>
    /// <param name="image">The explained image, or another one of the same size. It is not changed.</param>
    /// <param name="opacity">Opacity of the map, from 0 (only the image) to 1 (only the map).</param>
    /// <returns>A new image of the same size and pixel format. The caller disposes it.</returns>
    /// <exception cref="ArgumentException">The size of the image differs from that of the explained image, or its pixel format is neither
    /// Bgra32 nor Rgba32.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The opacity is outside 0 to 1.</exception>
    public MLImage Draw(MLImage image, double opacity = 0.5)
    {
        ArgumentNullException.ThrowIfNull(image);
        if (opacity is not (>= 0 and <= 1))
            throw new ArgumentOutOfRangeException(nameof(opacity), opacity, "The opacity must be from 0 to 1.");
        if (image.Width != _width || image.Height != _height)
            throw new ArgumentException(
                $"The image has {image.Width} × {image.Height} pixels, but the one that was explained had {_width} × {_height}.",
                nameof(image)
            );
        if (image.PixelFormat is not (MLPixelFormat.Bgra32 or MLPixelFormat.Rgba32))
            throw new ArgumentException(
                $"The image's pixel format is {image.PixelFormat}; Bgra32 and Rgba32 are understood.",
                nameof(image)
            );
        byte[] pixels = image.Pixels.ToArray();
        var map = new HeatMap(Relevance, Columns, (SeenPart.X, SeenPart.Y, SeenPart.Width, SeenPart.Height));
        map.DrawOver(pixels, _width, blueFirst: image.PixelFormat == MLPixelFormat.Bgra32, opacity);
        MLImage drawn = MLImage.CreateFromPixels(_width, _height, image.PixelFormat, pixels);
        drawn.Tag = image.Tag;
        return drawn;
    }
}
