using System.Text;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Hub;

/// <summary>
/// One repository's part of the hub's cache, in the layout that Hugging Face's own tools read and write:
/// <c>blobs/</c> holds content by its hash, <c>snapshots/COMMIT/</c> links names to it, <c>refs/REVISION</c> names a commit.
/// </summary>
internal sealed class HubCache
{
    private const string Blobs = "blobs";

    private readonly string _root,
        _folder;
    private readonly Action<string, string> _link;

    /// <param name="root">The cache of all repositories.</param>
    /// <param name="repository">The repository's name, which <see cref="HubNames.IsRepository"/> accepts.</param>
    /// <param name="link">The maker of a symbolic link, given its path and its target, which throws where it cannot; null: the
    /// system's.</param>
    public HubCache(string root, string repository, Action<string, string>? link = null)
    {
        (_root, Repository, _link) = (root, repository, link ?? ((path, target) => File.CreateSymbolicLink(path, target)));
        _folder = Path.Combine(root, FolderName(repository));
    }

    public string Repository { get; }

    public string BlobFolder => Path.Combine(_folder, Blobs);

    public string Blob(string etag) => Path.Combine(BlobFolder, etag);

    /// <summary>The file whose lock a process holds while it fetches a blob, where Python's tools look for it too.</summary>
    public string Lock(string etag) => Path.Combine(_root, ".locks", FolderName(Repository), etag + ".lock");

    public string Snapshot(string commit) => Path.Combine(_folder, "snapshots", commit);

    /// <summary>The commit that a revision meant when it was last fetched; null where it never was, or where nothing of that is
    /// left.</summary>
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

    /// <summary>A file of a snapshot; null where it is not there or its link leads nowhere.</summary>
    public string? Find(string commit, string file)
    {
        string path = Path.Combine(Snapshot(commit), file);
        return IsThere(path) ? path : null;
    }

    /// <summary>Whether a file of a snapshot can be read. File.Exists is true for a link that leads nowhere, too.</summary>
    public static bool IsThere(string snapshotFile) =>
        File.Exists(snapshotFile)
        && (
            new FileInfo(snapshotFile).LinkTarget is null
            || File.ResolveLinkTarget(snapshotFile, returnFinalTarget: true) is { Exists: true }
        );

    /// <summary>A file of a snapshot whose content is there with the right length; null where it is not. Only a link says by which hash the
    /// content is kept.</summary>
    public string? Published(HubFile file) =>
        Find(file.Commit, file.Name) is { } path && (EtagOf(path) ?? file.Etag) == file.Etag && HasLength(path, file.Length) ? path : null;

    /// <summary>Whether there is a file of that length; of a link, that of the file it leads to.</summary>
    public static bool HasLength(string path, long length) =>
        new FileInfo(path) is { Exists: true } named
        && ((FileInfo?)named.ResolveLinkTarget(returnFinalTarget: true) ?? named) is { Exists: true } file
        && file.Length == length;

    /// <summary>Remembers what a revision means.</summary>
    public void WriteReference(string revision, string commit)
    {
        if (revision == commit || Commit(revision) == commit)
            return;
        WholeFile.Write(Reference(revision), file => file.Write(Encoding.UTF8.GetBytes(commit)));
    }

    /// <summary>Gives a blob its name in a snapshot, in the place of what has it: by a relative link, or where links cannot be made, by
    /// moving the blob there, as Python's tools do.</summary>
    /// <returns>The file's path in the snapshot.</returns>
    public string Publish(string commit, string file, string etag)
    {
        string path = Path.Combine(Snapshot(commit), file),
            folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        string target = Path.GetRelativePath(folder, Blob(etag));
        if (new FileInfo(path).LinkTarget is var old && (old == target || (old is null && File.Exists(path) && !File.Exists(Blob(etag)))))
            return path; // linked, or moved there earlier
        // A link has no content for WholeFile to write; made under another name first, so that a reader sees the old one or the new one.
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

    /// <summary>The hash by which a snapshot's file is kept; null where it is not a link, so that nothing says what it should be.</summary>
    public static string? EtagOf(string snapshotFile) =>
        new FileInfo(snapshotFile).LinkTarget is { } target && HubNames.IsBlob(Path.GetFileName(target)) ? Path.GetFileName(target) : null;

    /// <summary>The hash that a file should have because it is a link to a blob of a hub's cache: SHA-256 of a large file, git's SHA-1 of
    /// a small one; null where nothing says it.</summary>
    public static string? BlobOf(string file) =>
        new FileInfo(file).LinkTarget is { } target
        && Path.GetFileName(Path.GetDirectoryName(target)) == Blobs
        && Path.GetFileName(target) is { Length: 64 or 40 } name
        && name.All(char.IsAsciiHexDigitLower)
            ? name
            : null;

    /// <summary>The same of a large file only.</summary>
    public static string? Sha256Of(string file) => BlobOf(file) is { Length: 64 } hash ? hash : null;

    private string Reference(string revision) => Path.Combine(_folder, "refs", Path.Combine(revision.Split('/')));

    private static string FolderName(string repository) => "models--" + repository.Replace("/", "--", StringComparison.Ordinal);
}
