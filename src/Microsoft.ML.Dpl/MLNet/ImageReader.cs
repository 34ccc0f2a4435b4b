using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Images;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Decodes the image at a row's current position. Not thread-safe: belongs to one row or cursor.</summary>
internal sealed class ImageReader
{
    private readonly DataViewRow _row;
    private readonly string _column;
    private readonly ImageReading _reading;
    private readonly Func<RgbImage> _decode;

    public ImageReader(DataViewRow row, DataViewSchema.Column column, ImageForm form, ImageReading reading)
    {
        (_row, _column, _reading) = (row, column.Name, reading);
        _decode = form switch
        {
            ImageForm.Image => FromImage(row.GetGetter<MLImage>(column)),
            ImageForm.Path => FromPath(row.GetGetter<ReadOnlyMemory<char>>(column)),
            _ => FromBytes(row.GetGetter<VBuffer<byte>>(column)),
        };
    }

    /// <summary>The file of the last image read; null if it came as bytes or as an image without a tag.</summary>
    public string? Path { get; private set; }

    /// <exception cref="UnreadableImageException">The image is missing or cannot be decoded.</exception>
    public RgbImage Read()
    {
        Path = null;
        try
        {
            return _decode();
        }
        catch (Exception e) when (IsOfTheImage(e))
        {
            throw new UnreadableImageException(_row.Position, _column, Path, e);
        }
    }

    /// <summary>Whether the image itself is at fault, rather than, for example, a missing native library or a SkiaSharp version that ML.NET
    /// cannot use.</summary>
    private static bool IsOfTheImage(Exception e) =>
        e is InsufficientMemoryException
        || e
            is not (
                OperationCanceledException
                or OutOfMemoryException
                or TypeInitializationException
                or TypeLoadException
                or MissingMemberException
            );

    private Func<RgbImage> FromImage(ValueGetter<MLImage> get)
    {
        // The getter reuses and disposes the image in the variable, so the same variable is passed each time and the image is not kept
        // elsewhere.
        MLImage? image = null;
        return () =>
        {
            get(ref image!);
            if (image is null)
                throw new InvalidDataException("the image is null.");
            Path = image.Tag;
            return ImageDecoder.FromMLImage(image);
        };
    }

    private Func<RgbImage> FromPath(ValueGetter<ReadOnlyMemory<char>> get)
    {
        ReadOnlyMemory<char> text = default;
        return () =>
        {
            get(ref text);
            if (text.Span.IsWhiteSpace())
                throw new InvalidDataException("the path is empty.");
            Path = _reading.PathOf(text.ToString());
            return _reading.FromFile(Path);
        };
    }

    private Func<RgbImage> FromBytes(ValueGetter<VBuffer<byte>> get)
    {
        VBuffer<byte> encoded = default;
        return () =>
        {
            get(ref encoded);
            if (encoded.Length == 0)
                throw new InvalidDataException("there are no bytes.");
            byte[] bytes = new byte[encoded.Length];
            encoded.CopyTo(bytes);
            return _reading.FromBytes(bytes, $"row {_row.Position}");
        };
    }
}

/// <summary>How image files and encoded bytes are read.</summary>
/// <param name="BaseFolder">Where relative paths start; null: the current folder.</param>
/// <param name="MaximumPixels">Images of more pixels (width × height) are refused before they are decoded.</param>
/// <param name="ApplyExifOrientation">Whether images are turned and mirrored as their files ask; images that are decoded already no longer
/// say.</param>
internal sealed record ImageReading(
    string? BaseFolder = null,
    long MaximumPixels = ImageDecoder.DefaultMaximumPixels,
    bool ApplyExifOrientation = false
)
{
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is not an image that can be decoded, or one of too many pixels.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    public RgbImage FromFile(string fullPath) => ImageDecoder.FromFile(fullPath, MaximumPixels, ApplyExifOrientation);

    /// <param name="bytes">A whole image file.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="InvalidDataException">It is not an image that can be decoded, or one of too many pixels.</exception>
    public RgbImage FromBytes(ReadOnlySpan<byte> bytes, string name) =>
        ImageDecoder.FromBytes(bytes, name, MaximumPixels, ApplyExifOrientation);

    /// <summary>A path as it is opened.</summary>
    public string PathOf(string given) => BaseFolder is null ? given : Path.Combine(BaseFolder, given);
}
