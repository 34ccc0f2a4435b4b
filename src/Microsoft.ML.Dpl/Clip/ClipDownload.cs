using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.TensorFiles;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Fetches the files of a CLIP that this library reads, and no others, from the hub or its cache. Small files come first, so that
/// what cannot be used is refused before the weights are downloaded.</summary>
internal static class ClipDownload
{
    private const string Preprocessor = "preprocessor_config.json";

    /// <param name="name">A repository or a short name.</param>
    /// <param name="settings">Where from and where to.</param>
    /// <param name="cancellation">Ends the download.</param>
    /// <returns>The repository, and the folder of its files in the cache.</returns>
    /// <exception cref="HubException">The model cannot be had.</exception>
    /// <exception cref="ArgumentException">It is no name of a repository.</exception>
    /// <exception cref="InvalidDataException">Its configuration is no CLIP's.</exception>
    public static async Task<(string Repository, string Folder)> FetchAsync(
        string name,
        HubSettings settings,
        CancellationToken cancellation
    )
    {
        string repository = RepositoryOf(name);
        if (settings.Offline)
            return (repository, await FetchAsync(repository, settings, offline: true, isCached: true, cancellation).ConfigureAwait(false));
        string? known = Known(repository, settings);
        // A commit never changes, so the hub need not be asked about one that is here.
        if (HubNames.IsCommit(settings.Options.Revision) && known is not null)
            return (repository, known);
        try
        {
            return (
                repository,
                await FetchAsync(repository, settings, offline: false, isCached: known is not null, cancellation).ConfigureAwait(false)
            );
        }
        catch (HubException e) when (e.Failure == HubFailure.Unreachable && known is not null)
        {
            return (repository, known);
        }
    }

    /// <summary>The folder of a CLIP whose files are all in the cache; null where some are not.</summary>
    public static string? Cached(string repository, HubSettings settings)
    {
        try
        {
            // Without a network nothing is waited for.
            return FetchAsync(repository, settings, offline: true, isCached: true, CancellationToken.None).GetAwaiter().GetResult();
        }
        catch (HubException)
        {
            return null;
        }
    }

    // What was damaged here may be whole at the hub.
    private static string? Known(string repository, HubSettings settings)
    {
        try
        {
            return Cached(repository, settings);
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>A repository's name, looked up where it is a short one.</summary>
    /// <exception cref="ArgumentException">It is neither.</exception>
    public static string RepositoryOf(string name)
    {
        string repository = KnownClip.Find(name)?.Repository ?? name;
        if (HubNames.IsRepository(repository))
            return repository;
        IEnumerable<string> known = KnownClip
            .All.Select(clip => clip.Name)
            .Where(candidate => !candidate.Contains("laion", StringComparison.Ordinal));
        throw new ArgumentException(
            $"'{name}' is no name of a model. Use one such as openai/clip-vit-base-patch16, or a short one: {string.Join(", ", known)}.",
            nameof(name)
        );
    }

    /// <summary>The vocabulary of any of OpenAI's CLIPs in the cache; null where there is none.</summary>
    public static VocabularyFiles? CachedVocabulary(HubSettings settings) =>
        KnownClip
            .All.Select(known => new HubCache(settings.CacheFolder, known.Repository))
            .Select(cache => cache.Commit(settings.Options.Revision) is { } commit ? VocabularyFiles.TryIn(cache.Snapshot(commit)) : null)
            .FirstOrDefault(files => files is not null);

    /// <summary>Fetches a repository's vocabulary alone.</summary>
    /// <exception cref="HubException">It cannot be had.</exception>
    public static async Task<VocabularyFiles> FetchVocabularyAsync(string name, HubSettings settings, CancellationToken cancellation)
    {
        var cache = new HubCache(settings.CacheFolder, RepositoryOf(name));
        VocabularyFiles? known = cache.Commit(settings.Options.Revision) is { } commit
            ? VocabularyFiles.TryIn(cache.Snapshot(commit))
            : null;
        try
        {
            return await FetchVocabularyAsync(cache.Repository, settings, isCached: known is not null, cancellation).ConfigureAwait(false);
        }
        catch (HubException e) when (e.Failure == HubFailure.Unreachable && known is not null)
        {
            return known;
        }
    }

    private static async Task<VocabularyFiles> FetchVocabularyAsync(
        string repository,
        HubSettings settings,
        bool isCached,
        CancellationToken cancellation
    )
    {
        using var files = new HubRepository(repository, settings, settings.Offline, isCached);
        if (!await FetchVocabularyAsync(files, cancellation).ConfigureAwait(false))
            throw Lacks(files, settings, $"{VocabularyFiles.Ids} and {VocabularyFiles.Merges}, nor {VocabularyFiles.Tokenizer}");
        // What the revision meant may be a whole CLIP, which would no longer be found offline.
        if (!isCached)
            files.Complete();
        return VocabularyFiles.In(files.Folder);
    }

    private static async Task<string> FetchAsync(
        string repository,
        HubSettings settings,
        bool offline,
        bool isCached,
        CancellationToken cancellation
    )
    {
        using var files = new HubRepository(repository, settings, offline, isCached);
        string? config = await files.FetchAsync(FolderLayout.HuggingFaceConfig, cancellation).ConfigureAwait(false);
        string? openClip = await files.FetchAsync(FolderLayout.OpenClipConfig, cancellation).ConfigureAwait(false);
        var present = new HashSet<string>(StringComparer.Ordinal);
        foreach (string name in FolderLayout.All.SelectMany(layout => (string[])[layout.Config, layout.Weights]).Distinct())
            if (await files.HasAsync(name, cancellation).ConfigureAwait(false))
                present.Add(name);

        if (FolderLayout.Choose(present.Contains, config) is not { } layout)
        {
            if (config is not null && openClip is null)
                _ = ClipConfigReader.FromFile(config);
            throw Lacks(files, settings, string.Join(", nor ", FolderLayout.All.Select(pair => $"{pair.Config} with {pair.Weights}")));
        }
        _ = layout.IsOpenClip ? OpenClipConfigReader.FromFile(openClip!) : ClipConfigReader.FromFile(config!);
        if (!await FetchVocabularyAsync(files, cancellation).ConfigureAwait(false))
            throw Lacks(files, settings, $"{VocabularyFiles.Ids} and {VocabularyFiles.Merges}, nor {VocabularyFiles.Tokenizer}");
        await files.FetchAsync(Preprocessor, cancellation).ConfigureAwait(false);

        string weights = (await files.FetchAsync(layout.Weights, cancellation).ConfigureAwait(false))!;
        foreach (string shard in layout.IsIndex ? ShardedSafetensors.ShardPaths(weights).Select(path => Path.GetFileName(path)!) : [])
            if (await files.FetchAsync(shard, cancellation).ConfigureAwait(false) is null)
                throw Lacks(files, settings, shard);
        files.Complete();
        return files.Folder;
    }

    private static async Task<bool> FetchVocabularyAsync(HubRepository files, CancellationToken cancellation)
    {
        if (
            await files.HasAsync(VocabularyFiles.Ids, cancellation).ConfigureAwait(false)
            && await files.HasAsync(VocabularyFiles.Merges, cancellation).ConfigureAwait(false)
        )
        {
            await files.FetchAsync(VocabularyFiles.Ids, cancellation).ConfigureAwait(false);
            await files.FetchAsync(VocabularyFiles.Merges, cancellation).ConfigureAwait(false);
            return true;
        }
        return await files.FetchAsync(VocabularyFiles.Tokenizer, cancellation).ConfigureAwait(false) is not null;
    }

    private static HubException Lacks(HubRepository files, HubSettings settings, string what) =>
        files.IsOffline
            ? new HubException(
                HubFailure.Offline,
                $"The cache '{settings.CacheFolder}' has '{files.Name}' at revision '{settings.Options.Revision}' only in part: "
                    + $"neither {what}. Download it where the network may be used."
            )
            : new HubException(
                HubFailure.FileNotFound,
                $"'{files.Name}' at revision '{settings.Options.Revision}' has neither {what}, so it is no CLIP that can be read."
            );
}
