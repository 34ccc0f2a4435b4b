using Microsoft.ML.Dpl.Tool.Display;

namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>Images as a command line names them.</summary>
internal static class NamedImages
{
    /// <summary>A file as it is; a folder's images, those in sub-folders too, ordered by code point.</summary>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static IEnumerable<string> Expand(string path, CancellationToken cancellationToken)
    {
        if (!Directory.Exists(path))
            return [path];
        var files = new ImageFiles(cancellationToken);
        IReadOnlyList<string> found = files.In(path);
        if (files.LeftOutNote() is { } note)
            Terminal.Warn($"{path}: {note}");
        return found;
    }

    /// <summary>The user's own spelling for a label, with the full path: a model may have a folder of its own for relative ones.</summary>
    public static ImageRow RowOf(string path) => new() { ImagePath = FullPath(path), Label = path };

    // What can be no path is left to be told with the image.
    private static string FullPath(string path) => path.Contains('\0') ? path : Path.GetFullPath(path);
}
