using Microsoft.ML.Dpl.Images;

namespace Microsoft.ML.Dpl.MLNet;

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
    /// <exception cref="InvalidDataException">It is no image that can be decoded, or one of too many pixels.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    public RgbImage FromFile(string fullPath) => ImageDecoder.FromFile(fullPath, MaximumPixels, ApplyExifOrientation);

    /// <param name="bytes">A whole image file.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="InvalidDataException">It is no image that can be decoded, or one of too many pixels.</exception>
    public RgbImage FromBytes(ReadOnlySpan<byte> bytes, string name) =>
        ImageDecoder.FromBytes(bytes, name, MaximumPixels, ApplyExifOrientation);

    /// <summary>A path as it is opened.</summary>
    public string PathOf(string given) => BaseFolder is null ? given : Path.Combine(BaseFolder, given);
}
