using System.Drawing;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Drawing;

namespace Microsoft.ML.Dpl;

/// <summary>Which parts of an image speak for a class: gradient-weighted attention rollout (Chefer, Gur, Wolf, ICCV 2021, arXiv 2103.15679)
/// over the prompted image tower.</summary>
/// <remarks>Relevance says where the evidence for this class lies, not how much of it there is: the scale is the map's own, so maps of two
/// classes or images do not compare in height.</remarks>
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

    /// <summary>The class that is explained.</summary>
    public string ClassName { get; }

    /// <summary>The model's probability of that class, 0 to 1.</summary>
    public float Probability { get; }

    /// <summary>Patches from top to bottom.</summary>
    public int Rows { get; }

    /// <summary>Patches from left to right.</summary>
    public int Columns { get; }

    /// <summary>Row by row, <see cref="Rows"/> × <see cref="Columns"/> numbers from 0, the least relevant patch, to 1, the most relevant;
    /// all 0 where no patch differs from another.</summary>
    public IReadOnlyList<float> Relevance { get; }

    /// <summary>
    /// The part of the image that CLIP sees and that the patches cover, in the image's pixels: the middle square, as CLIP crops. It reaches
    /// beyond the image only where the preprocessing pads it.
    /// </summary>
    public RectangleF SeenPart { get; }

    /// <summary>Draws the map over the image, smoothly enlarged, from dark violet (0) over green to yellow (1). What CLIP does not see
    /// stays as it is.</summary>
    /// <param name="image">The image that was explained, or another of its size. It is not changed.</param>
    /// <param name="opacity">Of the map, 0 (the image alone) to 1 (the map alone).</param>
    /// <returns>A new image of the same size and pixel format. The caller disposes it.</returns>
    /// <exception cref="ArgumentException">The image has another size than the one that was explained, or a pixel format other than Bgra32
    /// and Rgba32.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The opacity is not from 0 to 1.</exception>
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
