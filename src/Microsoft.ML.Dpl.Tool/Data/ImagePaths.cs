namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>Paths of images as tables and split files write them.</summary>
internal static class ImagePaths
{
    /// <summary>The full path. Backslashes separate folders on Windows only: elsewhere, where no file has such a name, slashes are taken
    /// for them.</summary>
    /// <param name="path">Perhaps relative.</param>
    /// <param name="root">Where a relative one starts.</param>
    public static string Full(string path, string root)
    {
        string full = Path.GetFullPath(path, Path.GetFullPath(root));
        if (Path.DirectorySeparatorChar == '\\' || !path.Contains('\\') || File.Exists(full))
            return full;
        string slashed = Path.GetFullPath(path.Replace('\\', '/'), Path.GetFullPath(root));
        return File.Exists(slashed) ? slashed : full;
    }

    /// <summary>What may be wrong with the spelling of a path that names no file; empty where nothing is seen.</summary>
    public static string Hint(string path) =>
        Path.DirectorySeparatorChar != '\\' && Path.GetFileName(path).Contains('\\')
            ? " The path has backslashes, which separate folders on Windows only: write slashes."
            : "";
}
