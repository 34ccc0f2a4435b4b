namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>Resolves image paths from tables and split files.</summary>
internal static class ImagePaths
{
    /// <summary>Returns the full path. Backslashes separate folders on Windows only: on other systems, if no file has that name, they are
    /// replaced by slashes if that gives an existing file.</summary>
    /// <param name="path">An absolute or relative path.</param>
    /// <param name="root">The folder that relative paths are relative to.</param>
    public static string Full(string path, string root)
    {
        string full = Path.GetFullPath(path, Path.GetFullPath(root));
        if (Path.DirectorySeparatorChar == '\\' || !path.Contains('\\') || File.Exists(full))
            return full;
        string slashed = Path.GetFullPath(path.Replace('\\', '/'), Path.GetFullPath(root));
        return File.Exists(slashed) ? slashed : full;
    }

    /// <summary>A hint about the spelling of a path to a file that does not exist; empty if nothing looks wrong.</summary>
    public static string Hint(string path) =>
        Path.DirectorySeparatorChar != '\\' && Path.GetFileName(path).Contains('\\')
            ? " The path has backslashes, which separate folders only on Windows: use slashes."
            : "";
}
