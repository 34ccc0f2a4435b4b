using System.Text;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Hub;

/// <summary>
/// One repository's part of the hub's cache, in the layout of Hugging Face's own tools: <c>blobs/</c> contains files by hash,
/// <c>snapshots/COMMIT/</c> links file names to blobs, and <c>refs/REVISION</c> contains a commit.
/// </summary>
internal sealed class HubCache
{
    private const string Blobs = "blobs";

    private readonly string _root,
        _folder;
    private readonly Action<string, string> _link;

    /// <param name="root">The root folder of the cache, for all repositories.</param>
    /// <param name="repository">The repository's name, which <see cref="HubNames.IsRepository"/> accepts.</param>
    /// <param name="link">Creates a symbolic link, given its path and its target, and throws if that fails; null for the system's
    /// function.</param>
    public HubCache(string root, string repository, Action<string, string>? link = null)
    {
        (_root, Repository, _link) = (root, repository, link ?? ((path, target) => File.CreateSymbolicLink(path, target)));
        _folder = Path.Combine(root, FolderName(repository));
    }

    public string Repository { get; }

    public string BlobFolder => Path.Combine(_folder, Blobs);

    public string Blob(string etag) => Path.Combine(BlobFolder, etag);

    /// <summary>The lock file that a process holds while it downloads a blob; the same file as in Python's tools.</summary>
    public string Lock(string etag) => Path.Combine(_root, ".locks", FolderName(Repository), etag + ".lock");

    public string Snapshot(string commit) => Path.Combine(_folder, "snapshots", commit);

    /// <summary>The commit of a revision when it was last fetched; null if it never was, or if its snapshot no longer exists.</summary>
    public string? Commit(string revision)
    {
        if (HubNames.IsCommit(revision))
            return Directory.Exists(Snapshot(revision)) ? revision : null;
        string path = Reference(revision);
        if (!File.Exists(path))
            return null;
        string commit = File.ReadAllText(path).Trim();
        return HubNames.IsCommit(commit) && Directory.Exists(Snapshot(commit)) ? commit : null;
    }

    /// <summary>The path of a file in a snapshot; null if it is missing or its link is broken.</summary>
    public string? Find(string commit, string file)
    {
        string path = Path.Combine(Snapshot(commit), file);
        return IsThere(path) ? path : null;
    }

    /// <summary>Whether a file in a snapshot exists and is not a broken link, for which File.Exists is true as well.</summary>
    public static bool IsThere(string snapshotFile) =>
        File.Exists(snapshotFile)
        && (
            new FileInfo(snapshotFile).LinkTarget is null
            || File.ResolveLinkTarget(snapshotFile, returnFinalTarget: true) is { Exists: true }
        );

    /// <summary>The path of a file in a snapshot whose content has the right length, and the right hash if it is a link, since only a link
    /// shows the hash; null otherwise.</summary>
    public string? Published(HubFile file) =>
        Find(file.Commit, file.Name) is { } path && (EtagOf(path) ?? file.Etag) == file.Etag && HasLength(path, file.Length) ? path : null;

    /// <summary>Whether there is a file of that length; for a link, the length of its target counts.</summary>
    public static bool HasLength(string path, long length) =>
        new FileInfo(path) is { Exists: true } named
        && ((FileInfo?)named.ResolveLinkTarget(returnFinalTarget: true) ?? named) is { Exists: true } file
        && file.Length == length;

    /// <summary>Stores the commit of a revision.</summary>
    public void WriteReference(string revision, string commit)
    {
        if (revision == commit || Commit(revision) == commit)
            return;
        WholeFile.Write(Reference(revision), file => file.Write(Encoding.UTF8.GetBytes(commit)));
    }

    /// <summary>Gives a blob its file name in a snapshot, replacing an existing file: by a relative link or, if links cannot be created, by
    /// moving the blob there, as Python's tools do.</summary>
    /// <returns>The file's path in the snapshot.</returns>
    public string Publish(string commit, string file, string etag)
    {
        string path = Path.Combine(Snapshot(commit), file),
            folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        string target = Path.GetRelativePath(folder, Blob(etag));
        if (new FileInfo(path).LinkTarget is var old && (old == target || (old is null && File.Exists(path) && !File.Exists(Blob(etag)))))
            return path; // already linked, or moved there earlier
        // The link is created under a temporary name and then renamed, so that readers see either the old file or the new one.
        string partial = $"{path}.{Guid.NewGuid():n}";
        try
        {
            _link(partial, target);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or PlatformNotSupportedException)
        {
            File.Move(Blob(etag), path, overwrite: true);
            return path;
        }
        File.Move(partial, path, overwrite: true);
        return path;
    }

    /// <summary>The hash under which a snapshot's file is stored; null if the file is not a link, because then its hash is
    /// unknown.</summary>
    public static string? EtagOf(string snapshotFile) =>
        new FileInfo(snapshotFile).LinkTarget is { } target && HubNames.IsBlob(Path.GetFileName(target)) ? Path.GetFileName(target) : null;

    /// <summary>The expected hash of a file that is a link to a blob in a hub's cache: SHA-256 for a large file, git's SHA-1 for a small
    /// one; null if unknown.</summary>
    public static string? BlobOf(string file) =>
        new FileInfo(file).LinkTarget is { } target
        && Path.GetFileName(Path.GetDirectoryName(target)) == Blobs
        && Path.GetFileName(target) is { Length: 64 or 40 } name
        && name.All(char.IsAsciiHexDigitLower)
            ? name
            : null;

    /// <summary>The expected SHA-256 of a file that is a link to a blob in a hub's cache; null if unknown, or for a small file.</summary>
    public static string? Sha256Of(string file) => BlobOf(file) is { Length: 64 } hash ? hash : null;

    private string Reference(string revision) => Path.Combine(_folder, "refs", Path.Combine(revision.Split('/')));

    private static string FolderName(string repository) => "models--" + repository.Replace("/", "--", StringComparison.Ordinal);
}
