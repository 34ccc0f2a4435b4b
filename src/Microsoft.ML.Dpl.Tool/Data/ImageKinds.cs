namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>Recognises image files by their file extension.</summary>
internal static class ImageKinds
{
    private static readonly HashSet<string> Decoded = new(
        [.. ".jpg .jpeg .jpe .jif .jfif .jfi .pjpeg .pjp .png .apng .bmp .dib .gif .webp".Split(' ')],
        StringComparer.OrdinalIgnoreCase
    );

    private static readonly HashSet<string> Others = new(
        [
            .. ".heic .heif .hif .avif .tif .tiff .jxl .jp2 .j2k .jpf .jpx .jxr .psd .svg .ico .tga .pcx".Split(' '),
            .. ".ppm .pgm .pbm .pnm .exr .hdr .dcm .qoi".Split(' '),
            .. ".dng .raw .cr2 .cr3 .crw .nef .nrw .arw .srf .orf .rw2 .raf .pef .srw".Split(' '),
        ],
        StringComparer.OrdinalIgnoreCase
    );

    /// <summary>The common readable file extensions, for messages.</summary>
    public const string Readable = ".jpg .jpeg .jfif .png .bmp .gif .webp";

    /// <summary>Whether the library decodes files with this extension.</summary>
    public static bool IsReadable(string path) => Decoded.Contains(Path.GetExtension(path));

    /// <summary>Whether the extension is that of an image format that the library does not decode.</summary>
    public static bool IsOther(string path) => Others.Contains(Path.GetExtension(path));
}
