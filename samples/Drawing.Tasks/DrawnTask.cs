using SkiaSharp;

namespace Drawing.Tasks;

/// <summary>A classification task whose images are drawn: some classes, a text template for their names, and a generator of
/// images.</summary>
/// <remarks>Has no state: everything random comes from the <see cref="Random"/> passed in, so equal seeds give equal images. Mirroring an
/// image left to right never changes its class.</remarks>
public abstract class DrawnTask
{
    /// <summary>The task's name, one lower-case word; also the name of its folder.</summary>
    public abstract string Name { get; }

    /// <summary>A sentence about what the images show and what makes them hard.</summary>
    public abstract string Description { get; }

    /// <summary>The template of a class's text; {} stands for the class name.</summary>
    public abstract string Template { get; }

    /// <summary>The names of the classes, 5 to 10.</summary>
    public abstract IReadOnlyList<string> ClassNames { get; }

    /// <summary>Draws an image.</summary>
    /// <param name="classIndex">Index into <see cref="ClassNames"/>.</param>
    /// <param name="random">The source of randomness for colours, positions, wobble and noise.</param>
    /// <param name="size">Width and height in pixels, 16 to 1024.</param>
    /// <returns>An opaque RGBA bitmap, which the caller disposes.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such class, or the size is out of its range.</exception>
    public SKBitmap Draw(int classIndex, Random random, int size = DrawnTaskFiles.DefaultSize)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(classIndex);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(classIndex, ClassNames.Count);
        ArgumentNullException.ThrowIfNull(random);
        ArgumentOutOfRangeException.ThrowIfLessThan(size, DrawnTaskFiles.SmallestSize);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, DrawnTaskFiles.LargestSize);
        var bitmap = new SKBitmap(new SKImageInfo(size, size, SKColorType.Rgba8888, SKAlphaType.Opaque));
        using var easel = new Easel(bitmap, random);
        Paint(easel, ClassNames[classIndex]);
        return bitmap;
    }

    /// <summary>Paints the image of one class; the easel is <see cref="Easel.Side"/> wide and high at any size in pixels.</summary>
    private protected abstract void Paint(Easel easel, string className);
}
