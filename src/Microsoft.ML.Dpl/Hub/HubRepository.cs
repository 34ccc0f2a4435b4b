namespace Microsoft.ML.Dpl.Hub;

/// <summary>One revision of a repository, whose files are fetched into the cache on demand. The first response fixes the commit, so that
/// all files belong to the same one.</summary>
internal sealed class HubRepository : IDisposable
{
    private readonly HubSettings _settings;
    private readonly HubCache _cache;
    private readonly HubClient? _client;
    private readonly Dictionary<string, HubFile?> _known = new(StringComparer.Ordinal);
    private string? _commit;

    /// <param name="name">The repository's name, which <see cref="HubNames.IsRepository"/> accepts.</param>
    /// <param name="settings">The hub and the cache.</param>
    /// <param name="offline">Whether to use only the cache.</param>
    /// <param name="isCached">Whether the cache has all required files, so that a hub that does not respond is not retried.</param>
    /// <exception cref="ArgumentException">The token contains an invalid character.</exception>
    /// <exception cref="HubException">Only the cache may be used, and it has no files of this revision.</exception>
    public HubRepository(string name, HubSettings settings, bool offline, bool isCached = false)
    {
        (_settings, _cache) = (settings, new HubCache(settings.CacheFolder, name));
        if (!offline)
        {
            _client = new HubClient(settings, hasAnswer: isCached);
            return;
        }
        _commit = _cache.Commit(settings.Options.Revision)
            ?? throw new HubException(
                HubFailure.Offline,
                $"'{name}' at revision '{settings.Options.Revision}' is not in the cache '{settings.CacheFolder}', and the network "
                    + (
                        settings.OfflineBy is { } by
                            ? $"may not be used: {(by == nameof(HubOptions.Offline) ? "HubOptions.Offline" : by)} is set. Unset it, or "
                                + "copy the model's folder into the cache."
                            : "is not used for this. Download it first."
                    )
            );
    }

    public string Name => _cache.Repository;

    public bool IsOffline => _client is null;

    /// <summary>The folder of the files fetched so far.</summary>
    /// <exception cref="InvalidOperationException">No file has been requested yet.</exception>
    public string Folder =>
        _cache.Snapshot(_commit ?? throw new InvalidOperationException("No file of this repository has been asked for."));

    /// <summary>Whether the revision has a file; offline, whether the cache has it.</summary>
    /// <exception cref="HubException">The hub does not have the repository or revision, or cannot be accessed.</exception>
    public async Task<bool> HasAsync(string file, CancellationToken cancellationToken)
    {
        if (_client is null)
            return _cache.Find(_commit!, file) is not null;
        if (!_known.ContainsKey(file))
        {
            var (found, commit) = await _client
                .FindAsync(Name, _commit ?? _settings.Options.Revision, file, cancellationToken)
                .ConfigureAwait(false);
            if (HubNames.IsCommit(commit))
                _commit ??= commit;
            if (found is not null && found.Commit != _commit)
                throw new HubException(
                    HubFailure.BadAnswer,
                    $"{found.Address} belongs to commit {found.Commit} instead of {_commit}. Is HF_ENDPOINT a hub?"
                );
            _known[file] = found;
        }
        return _known[file] is not null;
    }

    /// <summary>Fetches a file and returns its path in the cache; null if the revision (offline: the cache) does not have it.</summary>
    /// <exception cref="HubException">For the same reasons as in <see cref="HasAsync"/>, or the download failed.</exception>
    public async Task<string?> FetchAsync(string file, CancellationToken cancellationToken)
    {
        if (!HubNames.IsRelativePath(file))
            throw new HubException(HubFailure.BadAnswer, $"'{Name}' names a file '{file}', which leads out of the repository.");
        if (!await HasAsync(file, cancellationToken).ConfigureAwait(false))
            return null;
        if (_client is null)
            return _cache.Find(_commit!, file);
        return await new BlobDownload(_client, _cache, _settings.Options)
            .FetchAsync(_known[file]!, cancellationToken)
            .ConfigureAwait(false);
    }

    /// <summary>Stores the revision's commit once all required files are in the cache.</summary>
    public void Complete()
    {
        if (_client is null || _commit is null)
            return;
        try
        {
            _cache.WriteReference(_settings.Options.Revision, _commit);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new HubException(
                HubFailure.CacheNotWritable,
                $"The cache '{_settings.CacheFolder}' cannot be written: {e.Message} Set HF_HUB_CACHE to a writable folder.",
                e
            );
        }
    }

    public void Dispose() => _client?.Dispose();
}
