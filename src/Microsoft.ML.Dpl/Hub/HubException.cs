namespace Microsoft.ML.Dpl.Hub;

/// <summary>The reason why a model could not be obtained by its name.</summary>
public enum HubFailure
{
    /// <summary>The network must not be used, and the model is not in the cache.</summary>
    Offline,

    /// <summary>There is no such repository, or it is private.</summary>
    RepositoryNotFound,

    /// <summary>The repository has no such branch, tag or commit.</summary>
    RevisionNotFound,

    /// <summary>The repository lacks a file that a CLIP needs.</summary>
    FileNotFound,

    /// <summary>The repository requires a token, a different token, or acceptance of its terms.</summary>
    AccessDenied,

    /// <summary>After several attempts, the server could not be reached, closed the connection or failed.</summary>
    Unreachable,

    /// <summary>The server's answer is not the requested file.</summary>
    BadAnswer,

    /// <summary>A file's content does not match the hub's hash.</summary>
    Damaged,

    /// <summary>The cache's disk is full, or the cache is not writable.</summary>
    CacheNotWritable,

    /// <summary>Another process holds a file's lock but makes no progress.</summary>
    Locked,
}

/// <summary>A model could not be obtained by its name. The message says what to do.</summary>
public sealed class HubException : IOException
{
    /// <param name="failure">The kind of failure.</param>
    /// <param name="message">What happened, and the remedy.</param>
    /// <param name="innerException">The cause.</param>
    public HubException(HubFailure failure, string message, Exception? innerException = null)
        : base(message, innerException) => Failure = failure;

    /// <summary>The kind of failure.</summary>
    public HubFailure Failure { get; }
}

/// <summary>The server is busy; the same request may succeed later.</summary>
/// <param name="message">The server's answer.</param>
/// <param name="wait">How long the server asked to wait; zero if it did not say.</param>
internal sealed class HubBusyException(string message, TimeSpan wait) : IOException(message)
{
    public TimeSpan Wait { get; } = wait;
}
