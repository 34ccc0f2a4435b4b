using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Images;

/// <summary>Reads the bytes of an image file and says plainly what a path is that names none.</summary>
internal static class ImageFile
{
    /// <param name="path">A file. It is opened only if it is an ordinary one: reading a pipe or a device could wait for ever.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The path names a folder, a web address, or a file that is empty, larger than 2 GB or no
    /// ordinary one.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    public static byte[] Read(string path)
    {
        if (path.Contains('\0', StringComparison.Ordinal))
            throw new InvalidDataException($"Image '{ShownText.Of(path)}' is no path: it holds the character 0.");
        if (Directory.Exists(path))
            throw new InvalidDataException($"Image '{ShownText.Of(path)}' is a folder. Give the path of an image file.");
        try
        {
            var named = new FileInfo(path);
            // The length of a link is not that of the file it leads to.
            long length = ((FileInfo?)named.ResolveLinkTarget(returnFinalTarget: true) ?? named).Length;
            if (length == 0)
                throw new InvalidDataException($"Image '{ShownText.Of(path)}' is empty, or no ordinary file.");
            if (length > Array.MaxLength)
                throw new InvalidDataException(
                    $"Image '{ShownText.Of(path)}' has {length} bytes, more than the {Array.MaxLength} that an image file can have here."
                );
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new FileNotFoundException(
                IsWebAddress(path)
                    ? $"Image '{ShownText.Of(path)}' is a web address. Download it and give the path of the file, or give the bytes."
                    : $"Image '{ShownText.Of(path)}' does not exist.",
                path,
                e
            );
        }
    }

    private static bool IsWebAddress(string path) =>
        Uri.TryCreate(path, UriKind.Absolute, out Uri? address) && address.Scheme is "http" or "https" or "ftp" or "data";
}
