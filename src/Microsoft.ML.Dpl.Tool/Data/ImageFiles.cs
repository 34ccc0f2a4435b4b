namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>Finds image files in folders and their subfolders. Links are followed, but each real folder is visited only once, so that
/// circular links do no harm.</summary>
/// <param name="cancellationToken">Cancels the search.</param>
internal sealed class ImageFiles(CancellationToken cancellationToken = default)
{
    private readonly HashSet<string> _seen = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, int> _leftOut = new(StringComparer.Ordinal);

    /// <summary>Number of images of each format that cannot be read, by file extension in lower case.</summary>
    public IReadOnlyDictionary<string, int> LeftOut => _leftOut;

    /// <summary>A sentence about <see cref="LeftOut"/>; null if nothing was left out.</summary>
    public string? LeftOutNote() =>
        _leftOut.Count == 0
            ? null
            : $"Left out {string.Join(", ", _leftOut.Select(kind => $"{kind.Value} {kind.Key}"))}: images of these kinds cannot be read. "
                + "Convert them to JPEG or PNG.";

    /// <summary>Reserves a folder for a later call of <see cref="In"/>, so that links to it from elsewhere are not followed.</summary>
    /// <returns>Whether the folder could be resolved and had not been claimed or visited before.</returns>
    public bool Claim(string folder) => RealPath.Resolve(folder) is { } real && _seen.Add(real);

    /// <summary>Lists the image files in a folder and its subfolders in ordinal order.</summary>
    /// <param name="folder">An existing folder; visited even if it was claimed before.</param>
    /// <exception cref="InvalidDataException">A name in the folder is not valid UTF-8.</exception>
    /// <exception cref="OperationCanceledException">The search was cancelled.</exception>
    public IReadOnlyList<string> In(string folder)
    {
        var found = new List<string>();
        if (RealPath.Resolve(folder) is not { } start)
            return found;
        _seen.Add(start);
        var pending = new Stack<(string Shown, string Real)>([(folder, start)]);
        while (pending.TryPop(out var at))
        {
            foreach (string path in Directory.EnumerateFiles(at.Shown))
            {
                cancellationToken.ThrowIfCancellationRequested();
                Add(path, found);
            }
            foreach (string path in Directory.EnumerateDirectories(at.Shown))
            {
                cancellationToken.ThrowIfCancellationRequested();
                RequireUsable(path, Directory.Exists(path));
                string? real = new DirectoryInfo(path).LinkTarget is null
                    ? Path.Combine(at.Real, Path.GetFileName(path))
                    : RealPath.Resolve(path);
                if (real is not null && !IsWithin(at.Real, real) && _seen.Add(real))
                    pending.Push((path, real));
            }
        }
        found.Sort(StringComparer.Ordinal);
        return found;
    }

    /// <summary>Lists the folders in a folder whose names do not start with a dot, in ordinal order.</summary>
    /// <exception cref="InvalidDataException">The name of a folder is not valid UTF-8.</exception>
    public string[] FoldersIn(string folder)
    {
        cancellationToken.ThrowIfCancellationRequested();
        string[] folders =
        [
            .. Directory.GetDirectories(folder).Where(path => !Path.GetFileName(path).StartsWith('.')).Order(StringComparer.Ordinal),
        ];
        foreach (string path in folders)
            RequireUsable(path, Directory.Exists(path));
        return folders;
    }

    /// <summary>Whether a folder directly contains images.</summary>
    public static bool HasImages(string folder) => Directory.EnumerateFiles(folder).Any(ImageKinds.IsReadable);

    private void Add(string path, List<string> found)
    {
        if (Path.GetFileName(path).StartsWith('.'))
            return;
        if (ImageKinds.IsReadable(path))
        {
            RequireUsable(path, File.Exists(path));
            found.Add(path);
        }
        else if (ImageKinds.IsOther(path))
        {
            string kind = Path.GetExtension(path).ToLowerInvariant();
            _leftOut[kind] = _leftOut.GetValueOrDefault(kind) + 1;
        }
    }

    // Invalid UTF-8 in a name is listed as U+FFFD, and a file cannot be opened under that name.
    private static void RequireUsable(string path, bool exists)
    {
        if (!exists && Path.GetFileName(path).Contains('\uFFFD'))
            throw new InvalidDataException(
                $"The name of '{path}' is not in UTF-8, so it cannot be opened. Rename it; convmv -f latin1 -t utf8 -r --notest "
                    + $"'{Path.GetDirectoryName(path)}' renames all such files of older systems."
            );
    }

    private static bool IsWithin(string path, string folder) =>
        path == folder
        || path.StartsWith(Path.TrimEndingDirectorySeparator(folder) + Path.DirectorySeparatorChar, StringComparison.Ordinal);
}

/// <summary>Resolves symbolic links in paths.</summary>
internal static class RealPath
{
    // Linux's limit.
    private const int MostLinks = 40;

    /// <returns>The full path with every link in it followed; null if there are too many links, as with circular ones.</returns>
    public static string? Resolve(string path)
    {
        string full = Path.GetFullPath(path),
            real = Path.GetPathRoot(full)!;
        var pending = new Stack<string>();
        int links = 0;
        Push(full[real.Length..]);
        while (pending.TryPop(out string? part))
        {
            string next = part == ".." ? Path.GetDirectoryName(real) ?? real : Path.Combine(real, part);
            if (part == ".." || new DirectoryInfo(next).LinkTarget is not { } target)
            {
                real = next;
                continue;
            }
            if (++links > MostLinks)
                return null;
            if (Path.IsPathRooted(target))
                real = Path.GetPathRoot(target) is { Length: > 0 } root ? root : real;
            Push(Path.IsPathRooted(target) ? target[real.Length..] : target);
        }
        return real;

        void Push(string parts)
        {
            foreach (
                string part in parts
                    .Split([Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar], StringSplitOptions.RemoveEmptyEntries)
                    .Where(part => part != ".")
                    .Reverse()
            )
                pending.Push(part);
        }
    }
}
