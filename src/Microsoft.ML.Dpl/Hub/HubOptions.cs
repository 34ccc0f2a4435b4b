namespace Microsoft.ML.Dpl.Hub;

/// <summary>Where models come from by name, and where they are kept. What is left out follows the environment variables that Hugging Face's
/// own tools follow.</summary>
public sealed record HubOptions
{
    /// <summary>A branch, a tag, or a commit of 40 hexadecimal digits. A commit that is in the cache is used without asking the
    /// hub.</summary>
    public string Revision { get; init; } = "main";

    /// <summary>The cache; <c>null</c>: <c>HF_HUB_CACHE</c>, <c>HF_HOME</c>/hub, <c>XDG_CACHE_HOME</c>/huggingface/hub or
    /// <c>~/.cache/huggingface/hub</c>, the first that is set.</summary>
    public string? CacheFolder { get; init; }

    /// <summary>The hub's address; <c>null</c>: <c>HF_ENDPOINT</c>, or https://huggingface.co.</summary>
    public Uri? Endpoint { get; init; }

    /// <summary>The access token for gated and private models, empty for none; <c>null</c>: <c>HF_TOKEN</c>, or the file
    /// <c>HF_TOKEN_PATH</c> or <c>HF_HOME</c>/token, unless <c>HF_HUB_DISABLE_IMPLICIT_TOKEN</c> is 1. It is sent to the hub's own address
    /// only.</summary>
    public string? Token { get; init; }

    /// <summary>Whether the network must not be used; <c>null</c>: where <c>HF_HUB_OFFLINE</c> or <c>TRANSFORMERS_OFFLINE</c> is 1, ON, YES
    /// or TRUE.</summary>
    public bool? Offline { get; init; }

    /// <summary>Told of every file at its beginning, now and then, and at its end, from the thread that downloads.</summary>
    public IProgress<HubProgress>? Progress { get; init; }

    /// <summary>The longest silence of the server before a try counts as failed. Positive.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Tries of a request after the first one failed for a reason that may pass, at least 0. A download that got further counts
    /// anew.</summary>
    public int Retries { get; init; } = 5;

    /// <summary>The wait before the first of these tries, which doubles each time up to 30 seconds; a busy server may ask for up to five
    /// minutes (Retry-After). Not negative.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long another process may hold a file's lock without the file growing. Positive.</summary>
    public TimeSpan LockTimeout { get; init; } = TimeSpan.FromMinutes(5);
}
