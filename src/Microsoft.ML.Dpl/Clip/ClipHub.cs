using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.TensorFiles;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>The result of checking one file of a cached model against its hash.</summary>
public sealed record HubFileCheck
{
    internal HubFileCheck(string file, long bytes, string? hash, bool? isValid) =>
        (File, Bytes, Hash, IsValid) = (file, bytes, hash, isValid);

    /// <summary>The file's name in the repository.</summary>
    public string File { get; }

    /// <summary>The file's length in bytes.</summary>
    public long Bytes { get; }

    /// <summary>The hash by which the hub identifies the content: SHA-256 for a large file, git's SHA-1 for a small one; <c>null</c> if the
    /// cache does not state it.</summary>
    public string? Hash { get; }

    /// <summary>Whether the content matches the hash; <c>null</c> if that cannot be checked.</summary>
    public bool? IsValid { get; }
}

/// <summary>Inspects the hub's cache on this machine for CLIPs. <see cref="ClipBackbone.FromPretrained"/> fills the cache.</summary>
public static class ClipHub
{
    /// <summary>The folder of a CLIP in the cache, if every required file is there; <c>null</c> otherwise. Never accesses the
    /// hub.</summary>
    /// <param name="name">A name that <see cref="ClipBackbone.FromPretrained"/> accepts.</param>
    /// <param name="options">Revision and cache; <c>null</c> for the defaults and the environment variables.</param>
    /// <returns>The folder.</returns>
    /// <exception cref="ArgumentException">The name is not valid, or an option is out of range.</exception>
    /// <exception cref="InvalidDataException">The cached files are not a CLIP with a vision transformer.</exception>
    public static string? GetCachedFolder(string name, HubOptions? options = null) =>
        ClipDownload.Cached(ClipDownload.RepositoryOf(name), HubSettings.From(options));

    /// <summary>Reads every file of a cached CLIP and checks it against the hash under which the cache stores it. Never accesses the
    /// hub.</summary>
    /// <param name="name">A name that <see cref="ClipBackbone.FromPretrained"/> accepts.</param>
    /// <param name="options">Revision and cache; <c>null</c> for the defaults and the environment variables.</param>
    /// <param name="cancellationToken">Cancels reading the files.</param>
    /// <returns>The results for all files of the revision in the cache, including those downloaded by other tools, in the order of their
    /// names.</returns>
    /// <exception cref="HubException">The cache contains no files of this revision.</exception>
    /// <exception cref="ArgumentException">The name is not valid, or an option is out of range.</exception>
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

    /// <summary>Downloads only a vocabulary, for weights that come without one, such as OpenAI's archives.</summary>
    /// <param name="name">A CLIP with the same vocabulary.</param>
    /// <param name="options">The options of <see cref="ClipBackbone.FromPretrained"/>.</param>
    /// <param name="cancellationToken">Cancels the download.</param>
    /// <returns>A path that <see cref="ClipBackbone.FromOpenAI"/> accepts as the vocabulary.</returns>
    /// <exception cref="HubException">The vocabulary cannot be obtained.</exception>
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
            return new HubFileCheck(name, 0, hash, isValid: false); // a symbolic link whose blob is missing
        using FileStream file = File.OpenRead(path);
        return new HubFileCheck(name, file.Length, hash, hash is null ? null : BlobHash.Check(path, hash, cancellationToken));
    }
}

/// <summary>A published CLIP that can be opened by name.</summary>
public sealed record KnownClip
{
    internal KnownClip(string name, string repository, ClipConfig config) => (Name, Repository, Config) = (name, repository, config);

    /// <summary>OpenAI's short name; for other CLIPs, the repository's name.</summary>
    public string Name { get; }

    /// <summary>The repository on Hugging Face's hub.</summary>
    public string Repository { get; }

    /// <summary>The configuration.</summary>
    public ClipConfig Config { get; }

    /// <summary>Number of tokens in OpenAI's vocabulary, which all CLIPs in <see cref="All"/> share.</summary>
    internal const int OpenAITokens = 49408;

    /// <summary>CLIPs that are known to work by name. Any other CLIP on the hub with a vision transformer can be opened by its repository's
    /// name.</summary>
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

    /// <summary>Number of parameters in both towers.</summary>
    public long Parameters =>
        ClipLayout
            .Image(Config)
            .Concat(ClipLayout.Text(Config))
            .Sum(tensor => tensor.Shape.Aggregate(1L, (product, size) => product * size));

    /// <summary>Approximate size of the download in bytes: four for each of <see cref="Parameters"/>.</summary>
    public long Bytes => sizeof(float) * Parameters;

    /// <summary>Finds the entry for a short name or a repository, ignoring case; <c>null</c> if there is none.</summary>
    /// <param name="name">A short name such as <c>ViT-B/16</c>, or a repository.</param>
    /// <returns>The entry, or <c>null</c>.</returns>
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

/// <summary>Fetches only those files of a CLIP that this library reads, from the hub or its cache. Small files come first, so that an
/// unsupported model is rejected before its weights are downloaded.</summary>
internal static class ClipDownload
{
    /// <param name="name">A repository or a short name.</param>
    /// <param name="settings">The hub and the cache.</param>
    /// <param name="cancellationToken">Cancels the download.</param>
    /// <returns>The repository, and the folder of its files in the cache.</returns>
    /// <exception cref="HubException">The model cannot be obtained.</exception>
    /// <exception cref="ArgumentException">The name is not a valid repository name.</exception>
    /// <exception cref="InvalidDataException">The model's configuration is not that of a CLIP.</exception>
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
        // A commit never changes, so the hub need not be accessed for a cached one.
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

    /// <summary>The folder of a CLIP whose files are all in the cache; null if any is missing.</summary>
    public static string? Cached(string repository, HubSettings settings)
    {
        try
        {
            // Blocking is safe here: offline, the task completes without waiting for anything.
            return FetchAsync(repository, settings, offline: true, isCached: true, CancellationToken.None).GetAwaiter().GetResult();
        }
        catch (HubException)
        {
            return null;
        }
    }

    // A file that is damaged in the cache may be intact on the hub.
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

    /// <summary>The repository's name; short names are looked up.</summary>
    /// <exception cref="ArgumentException">The name is neither a short name nor a valid repository name.</exception>
    public static string RepositoryOf(string name)
    {
        string repository = KnownClip.Find(name)?.Repository ?? name;
        if (HubNames.IsRepository(repository))
            return repository;
        IEnumerable<string> shortNames = KnownClip
            .All.Select(known => known.Name)
            .Where(n => !n.Contains("laion", StringComparison.Ordinal));
        throw new ArgumentException(
            $"'{name}' is not the name of a model. Use one such as openai/clip-vit-base-patch16, or a short one: "
                + $"{string.Join(", ", shortNames)}.",
            nameof(name)
        );
    }

    /// <summary>The vocabulary of any CLIP in <see cref="KnownClip.All"/> that is cached; null if there is none.</summary>
    public static VocabularyFiles? CachedVocabulary(HubSettings settings) =>
        KnownClip
            .All.Select(known => new HubCache(settings.CacheFolder, known.Repository))
            .Select(cache => cache.Commit(settings.Options.Revision) is { } commit ? VocabularyFiles.TryIn(cache.Snapshot(commit)) : null)
            .FirstOrDefault(files => files is not null);

    /// <summary>Fetches only a repository's vocabulary.</summary>
    /// <exception cref="HubException">The vocabulary cannot be obtained.</exception>
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
        // An earlier commit of this revision may be cached as a complete CLIP, which could no longer be found offline after this call.
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
                $"'{files.Name}' at revision '{settings.Options.Revision}' has neither {what}, so it is not a CLIP that can be read."
            );
}
