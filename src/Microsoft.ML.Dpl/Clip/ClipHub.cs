using Microsoft.ML.Dpl.Hub;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>One file of a cached model, held against its hash.</summary>
/// <param name="File">Its name in the repository.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="Hash">What the hub calls its content: SHA-256 of a large file, git's SHA-1 of a small one; <c>null</c> where the cache does
/// not say.</param>
/// <param name="IsRight">Whether the content is that; <c>null</c> where it cannot be told.</param>
public sealed record HubFileCheck(string File, long Bytes, string? Hash, bool? IsRight);

/// <summary>What the hub's cache on this machine holds of a CLIP. <see cref="ClipBackbone.FromPretrained"/> fills it.</summary>
public static class ClipHub
{
    /// <summary>The folder of a CLIP in the cache, if every file that is needed is there; <c>null</c> otherwise. Never asks the
    /// hub.</summary>
    /// <param name="name">As <see cref="ClipBackbone.FromPretrained"/> takes it.</param>
    /// <param name="options">Revision and cache; <c>null</c>: the defaults and the environment.</param>
    /// <returns>The folder.</returns>
    /// <exception cref="ArgumentException">It is no name, or an option is out of range.</exception>
    /// <exception cref="InvalidDataException">What the cache holds is no CLIP with a vision transformer.</exception>
    public static string? CachedFolder(string name, HubOptions? options = null) =>
        ClipDownload.Cached(ClipDownload.RepositoryOf(name), HubSettings.From(options));

    /// <summary>Reads every file of a cached CLIP and holds it against the hash under which the cache keeps it. Never asks the
    /// hub.</summary>
    /// <param name="name">As <see cref="ClipBackbone.FromPretrained"/> takes it.</param>
    /// <param name="options">Revision and cache; <c>null</c>: the defaults and the environment.</param>
    /// <param name="cancellation">Ends the reading.</param>
    /// <returns>All files of the revision in the cache, also those that others downloaded, in the order of their names.</returns>
    /// <exception cref="HubException">The cache has nothing of this revision.</exception>
    /// <exception cref="ArgumentException">It is no name, or an option is out of range.</exception>
    public static IReadOnlyList<HubFileCheck> Verify(string name, HubOptions? options = null, CancellationToken cancellation = default)
    {
        using var files = new HubRepository(ClipDownload.RepositoryOf(name), HubSettings.From(options), offline: true);
        return
        [
            .. Directory
                .EnumerateFiles(files.Folder, "*", SearchOption.AllDirectories)
                .Order(StringComparer.Ordinal)
                .Select(path => Check(files.Folder, path, cancellation)),
        ];
    }

    /// <summary>Fetches a vocabulary alone, for weights that carry none, such as OpenAI's archives.</summary>
    /// <param name="name">A CLIP with the same vocabulary.</param>
    /// <param name="options">As <see cref="ClipBackbone.FromPretrained"/> takes them.</param>
    /// <param name="cancellation">Ends the download.</param>
    /// <returns>A path that <see cref="ClipBackbone.FromOpenAI"/> takes.</returns>
    /// <exception cref="HubException">It cannot be had.</exception>
    public static async Task<string> FetchVocabularyAsync(
        string name = "openai/clip-vit-base-patch16",
        HubOptions? options = null,
        CancellationToken cancellation = default
    ) => (await ClipDownload.FetchVocabularyAsync(name, HubSettings.From(options), cancellation).ConfigureAwait(false)).Path;

    private static HubFileCheck Check(string folder, string path, CancellationToken cancellation)
    {
        string name = Path.GetRelativePath(folder, path).Replace(Path.DirectorySeparatorChar, '/');
        string? hash = HubCache.EtagOf(path);
        if (!HubCache.IsThere(path))
            return new HubFileCheck(name, 0, hash, IsRight: false); // a link whose blob is gone
        using FileStream file = File.OpenRead(path);
        return new HubFileCheck(name, file.Length, hash, hash is null ? null : BlobHash.Check(path, hash, cancellation));
    }
}
