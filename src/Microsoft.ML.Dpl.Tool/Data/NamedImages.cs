using Microsoft.ML.Dpl.Tool.Display;

namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>Images named on the command line.</summary>
internal static class NamedImages
{
    /// <summary>Returns a file's path unchanged, or the images in a folder and its subfolders in ordinal order.</summary>
    /// <exception cref="OperationCanceledException">The search was cancelled.</exception>
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

    /// <summary>Creates a row with the full path, since a model may resolve relative paths from a folder of its own; the label is the path
    /// as the user typed it.</summary>
    public static ImageRow RowOf(string path) => new() { ImagePath = FullPath(path), Label = path };

    // An invalid path is passed on unchanged, so that the error is reported with the image.
    private static string FullPath(string path) => path.Contains('\0') ? path : Path.GetFullPath(path);
}
