using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.TensorFiles;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>One file of a cached model, checked against its hash.</summary>
public sealed record HubFileCheck
{
    internal HubFileCheck(string file, long bytes, string? hash, bool? isValid) =>
        (File, Bytes, Hash, IsValid) = (file, bytes, hash, isValid);

    /// <summary>Its name in the repository.</summary>
    public string File { get; }

    /// <summary>Its length.</summary>
    public long Bytes { get; }

    /// <summary>The hub's name for its content: SHA-256 of a large file, git's SHA-1 of a small one; <c>null</c> where the cache does not
    /// say.</summary>
    public string? Hash { get; }

    /// <summary>Whether the content matches it; <c>null</c> where that cannot be checked.</summary>
    public bool? IsValid { get; }
}

/// <summary>What the hub's cache on this machine holds of a CLIP. <see cref="ClipBackbone.FromPretrained"/> fills it.</summary>
public static class ClipHub
{
    /// <summary>The folder of a CLIP in the cache, if every file that is needed is there; <c>null</c> otherwise. Never asks the
    /// hub.</summary>
    /// <param name="name">A name that <see cref="ClipBackbone.FromPretrained"/> takes.</param>
    /// <param name="options">Revision and cache; <c>null</c>: the defaults and the environment.</param>
    /// <returns>The folder.</returns>
    /// <exception cref="ArgumentException">It is not a name, or an option is out of range.</exception>
    /// <exception cref="InvalidDataException">What the cache holds is no CLIP with a vision transformer.</exception>
    public static string? GetCachedFolder(string name, HubOptions? options = null) =>
        ClipDownload.Cached(ClipDownload.RepositoryOf(name), HubSettings.From(options));

    /// <summary>Reads every file of a cached CLIP and checks it against the hash under which the cache keeps it. Never asks the
    /// hub.</summary>
    /// <param name="name">A name that <see cref="ClipBackbone.FromPretrained"/> takes.</param>
    /// <param name="options">Revision and cache; <c>null</c>: the defaults and the environment.</param>
    /// <param name="cancellationToken">Cancellation of the reading.</param>
    /// <returns>All files of the revision in the cache, also those that others downloaded, in the order of their names.</returns>
    /// <exception cref="HubException">The cache has nothing of this revision.</exception>
    /// <exception cref="ArgumentException">It is not a name, or an option is out of range.</exception>
    public static IReadOnlyList<HubFileCheck> Verify(string name, HubOptions? options = null, CancellationToken cancellationToken = default)
    {
        using var files = new HubRepository(ClipDownload.RepositoryOf(name), HubSettings.From(options), offline: true);
        return
        [
            .. Directory
                .EnumerateFiles(files.Folder, "*", SearchOption.AllDirectories)
                .Order(StringComparer.Ordinal)
                .Select(path => Check(files.Folder, path, cancellationToken)),
        ];
    }

    /// <summary>Fetches a vocabulary alone, for weights that carry none, such as OpenAI's archives.</summary>
    /// <param name="name">A CLIP with the same vocabulary.</param>
    /// <param name="options">The options of <see cref="ClipBackbone.FromPretrained"/>.</param>
    /// <param name="cancellationToken">Cancellation of the download.</param>
    /// <returns>A path that <see cref="ClipBackbone.FromOpenAI"/> takes.</returns>
    /// <exception cref="HubException">It cannot be obtained.</exception>
    public static async Task<string> FetchVocabularyAsync(
        string name = "openai/clip-vit-base-patch16",
        HubOptions? options = null,
        CancellationToken cancellationToken = default
    ) => (await ClipDownload.FetchVocabularyAsync(name, HubSettings.From(options), cancellationToken).ConfigureAwait(false)).Path;

    private static HubFileCheck Check(string folder, string path, CancellationToken cancellationToken)
    {
        string name = Path.GetRelativePath(folder, path).Replace(Path.DirectorySeparatorChar, '/');
        string? hash = HubCache.EtagOf(path);
        if (!HubCache.IsThere(path))
            return new HubFileCheck(name, 0, hash, isValid: false); // a link whose blob is gone
        using FileStream file = File.OpenRead(path);
        return new HubFileCheck(name, file.Length, hash, hash is null ? null : BlobHash.Check(path, hash, cancellationToken));
    }
}

/// <summary>A published CLIP that has a name.</summary>
public sealed record KnownClip
{
    internal KnownClip(string name, string repository, ClipConfig config) => (Name, Repository, Config) = (name, repository, config);

    /// <summary>OpenAI's short name; of others, the repository's.</summary>
    public string Name { get; }

    /// <summary>Its repository on Hugging Face's hub.</summary>
    public string Repository { get; }

    /// <summary>Its shape.</summary>
    public ClipConfig Config { get; }

    /// <summary>Tokens of OpenAI's vocabulary, which all of <see cref="All"/> share.</summary>
    internal const int OpenAITokens = 49408;

    /// <summary>CLIPs that are known to work by name. Any other CLIP of the hub with a vision transformer can be named by its
    /// repository.</summary>
    public static IReadOnlyList<KnownClip> All { get; } =
    [
        new("ViT-B/32", "openai/clip-vit-base-patch32", Base(32, ClipActivation.QuickGelu)),
        new("ViT-B/16", "openai/clip-vit-base-patch16", Base(16, ClipActivation.QuickGelu)),
        new("ViT-L/14", "openai/clip-vit-large-patch14", Large(224, ClipActivation.QuickGelu)),
        new("ViT-L/14@336px", "openai/clip-vit-large-patch14-336", Large(336, ClipActivation.QuickGelu)),
        Laion("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", Base(32, ClipActivation.Gelu)),
        Laion("laion/CLIP-ViT-B-16-laion2B-s34B-b88K", Base(16, ClipActivation.Gelu)),
        Laion("laion/CLIP-ViT-L-14-laion2B-s32B-b82K", Large(224, ClipActivation.Gelu)),
        Laion(
            "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
            Shape(1024, Tower(24, 1024, 16, ClipActivation.Gelu), Tower(32, 1280, 16, ClipActivation.Gelu), 224, 14)
        ),
    ];

    /// <summary>Numbers in all weights of both towers.</summary>
    public long Parameters =>
        ClipLayout
            .Image(Config)
            .Concat(ClipLayout.Text(Config))
            .Sum(tensor => tensor.Shape.Aggregate(1L, (product, size) => product * size));

    /// <summary>About how many bytes a download has: four for each of <see cref="Parameters"/>.</summary>
    public long Bytes => sizeof(float) * Parameters;

    /// <summary>The entry of a short name, in any case, or of a repository; <c>null</c> where there is none.</summary>
    /// <param name="name">A name such as <c>ViT-B/16</c>.</param>
    /// <returns>The entry.</returns>
    public static KnownClip? Find(string name) =>
        All.FirstOrDefault(known =>
            known.Name.Equals(name, StringComparison.OrdinalIgnoreCase) || known.Repository.Equals(name, StringComparison.OrdinalIgnoreCase)
        );

    private static KnownClip Laion(string repository, ClipConfig config) => new(repository, repository, config);

    private static ClipConfig Base(int patch, ClipActivation activation) =>
        Shape(512, Tower(12, 512, 8, activation), Tower(12, 768, 12, activation), 224, patch);

    private static ClipConfig Large(int size, ClipActivation activation) =>
        Shape(768, Tower(12, 768, 12, activation), Tower(24, 1024, 16, activation), size, 14);

    private static ClipConfig Shape(int embedding, ClipTransformerConfig text, ClipTransformerConfig image, int size, int patch) =>
        new()
        {
            EmbeddingWidth = embedding,
            Text = text,
            ContextLength = 77,
            VocabularySize = OpenAITokens,
            Image = image,
            ImageSize = size,
            PatchSize = patch,
        };

    private static ClipTransformerConfig Tower(int layers, int width, int heads, ClipActivation activation) =>
        new()
        {
            Layers = layers,
            Width = width,
            Heads = heads,
            MlpWidth = 4 * width,
            Activation = activation,
            NormEpsilon = 1e-5,
        };
}

/// <summary>Fetches the files of a CLIP that this library reads, and no others, from the hub or its cache. Small files come first, so that
/// what cannot be used is refused before the weights are downloaded.</summary>
internal static class ClipDownload
{
    /// <param name="name">A repository or a short name.</param>
    /// <param name="settings">The hub and the cache.</param>
    /// <param name="cancellationToken">Cancellation of the download.</param>
    /// <returns>The repository, and the folder of its files in the cache.</returns>
    /// <exception cref="HubException">The model cannot be obtained.</exception>
    /// <exception cref="ArgumentException">It is not a name of a repository.</exception>
    /// <exception cref="InvalidDataException">Its configuration is no CLIP's.</exception>
    public static async Task<(string Repository, string Folder)> FetchAsync(
        string name,
        HubSettings settings,
        CancellationToken cancellationToken
    )
    {
        string repository = RepositoryOf(name);
        if (settings.Offline)
            return (
                repository,
                await FetchAsync(repository, settings, offline: true, isCached: true, cancellationToken).ConfigureAwait(false)
            );
        string? known = Known(repository, settings);
        // A commit never changes, so the hub need not be asked about one that is here.
        if (HubNames.IsCommit(settings.Options.Revision) && known is not null)
            return (repository, known);
        try
        {
            return (
                repository,
                await FetchAsync(repository, settings, offline: false, isCached: known is not null, cancellationToken).ConfigureAwait(false)
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

    // What is damaged in the cache may be sound at the hub.
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
        IEnumerable<string> shortNames = KnownClip
            .All.Select(known => known.Name)
            .Where(n => !n.Contains("laion", StringComparison.Ordinal));
        throw new ArgumentException(
            $"'{name}' is no name of a model. Use one such as openai/clip-vit-base-patch16, or a short one: "
                + $"{string.Join(", ", shortNames)}.",
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
    /// <exception cref="HubException">It cannot be obtained.</exception>
    public static async Task<VocabularyFiles> FetchVocabularyAsync(string name, HubSettings settings, CancellationToken cancellationToken)
    {
        var cache = new HubCache(settings.CacheFolder, RepositoryOf(name));
        VocabularyFiles? known = cache.Commit(settings.Options.Revision) is { } commit
            ? VocabularyFiles.TryIn(cache.Snapshot(commit))
            : null;
        try
        {
            return await FetchVocabularyAsync(cache.Repository, settings, isCached: known is not null, cancellationToken)
                .ConfigureAwait(false);
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
        CancellationToken cancellationToken
    )
    {
        using var files = new HubRepository(repository, settings, settings.Offline, isCached);
        if (!await FetchVocabularyAsync(files, cancellationToken).ConfigureAwait(false))
            throw Lacks(files, settings, $"{VocabularyFiles.Ids} and {VocabularyFiles.Merges}, nor {VocabularyFiles.Tokenizer}");
        // The revision's earlier commit may be a whole CLIP in the cache, which would no longer be found offline.
        if (!isCached)
            files.Complete();
        return VocabularyFiles.In(files.Folder);
    }

    private static async Task<string> FetchAsync(
        string repository,
        HubSettings settings,
        bool offline,
        bool isCached,
        CancellationToken cancellationToken
    )
    {
        using var files = new HubRepository(repository, settings, offline, isCached);
        string? config = await files.FetchAsync(FolderLayout.HuggingFaceConfig, cancellationToken).ConfigureAwait(false);
        string? openClip = await files.FetchAsync(FolderLayout.OpenClipConfig, cancellationToken).ConfigureAwait(false);
        var present = new HashSet<string>(StringComparer.Ordinal);
        foreach (string name in FolderLayout.All.SelectMany(layout => (string[])[layout.Config, layout.Weights]).Distinct())
            if (await files.HasAsync(name, cancellationToken).ConfigureAwait(false))
                present.Add(name);

        if (FolderLayout.Choose(present.Contains, config) is not { } layout)
        {
            if (config is not null && openClip is null)
                _ = ClipConfigReader.FromFile(config);
            throw Lacks(files, settings, string.Join(", nor ", FolderLayout.All.Select(pair => $"{pair.Config} with {pair.Weights}")));
        }
        _ = layout.IsOpenClip ? OpenClipConfigReader.FromFile(openClip!) : ClipConfigReader.FromFile(config!);
        if (!await FetchVocabularyAsync(files, cancellationToken).ConfigureAwait(false))
            throw Lacks(files, settings, $"{VocabularyFiles.Ids} and {VocabularyFiles.Merges}, nor {VocabularyFiles.Tokenizer}");
        foreach (string name in (string[])[ClipImageProcessorConfig.PartFile, ClipImageProcessorConfig.AloneFile])
            await files.FetchAsync(name, cancellationToken).ConfigureAwait(false);

        string weights = (await files.FetchAsync(layout.Weights, cancellationToken).ConfigureAwait(false))!;
        foreach (string shard in layout.IsIndex ? ShardedSafetensors.ShardPaths(weights).Select(path => Path.GetFileName(path)!) : [])
            if (await files.FetchAsync(shard, cancellationToken).ConfigureAwait(false) is null)
                throw Lacks(files, settings, shard);
        files.Complete();
        return files.Folder;
    }

    private static async Task<bool> FetchVocabularyAsync(HubRepository files, CancellationToken cancellationToken)
    {
        if (
            await files.HasAsync(VocabularyFiles.Ids, cancellationToken).ConfigureAwait(false)
            && await files.HasAsync(VocabularyFiles.Merges, cancellationToken).ConfigureAwait(false)
        )
        {
            await files.FetchAsync(VocabularyFiles.Ids, cancellationToken).ConfigureAwait(false);
            await files.FetchAsync(VocabularyFiles.Merges, cancellationToken).ConfigureAwait(false);
            return true;
        }
        return await files.FetchAsync(VocabularyFiles.Tokenizer, cancellationToken).ConfigureAwait(false) is not null;
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
