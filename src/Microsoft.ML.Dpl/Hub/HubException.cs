namespace Microsoft.ML.Dpl.Hub;

/// <summary>Why a model could not be obtained by its name.</summary>
public enum HubFailure
{
    /// <summary>The network must not be used, and the cache does not hold the model.</summary>
    Offline,

    /// <summary>There is no such repository, or it is private.</summary>
    RepositoryNotFound,

    /// <summary>The repository has no such branch, tag or commit.</summary>
    RevisionNotFound,

    /// <summary>The repository lacks a file that a CLIP needs.</summary>
    FileNotFound,

    /// <summary>The repository asks for a token, another token, or for its terms to be accepted first.</summary>
    AccessDenied,

    /// <summary>The server could not be reached, broke off or failed, several times.</summary>
    Unreachable,

    /// <summary>The server answered with something that is not the file.</summary>
    BadAnswer,

    /// <summary>A file's bytes are not those that the hub names by their hash.</summary>
    Damaged,

    /// <summary>The disk of the cache has no room, or the cache cannot be written.</summary>
    CacheNotWritable,

    /// <summary>Another process holds the lock of a file and makes no progress with it.</summary>
    Locked,
}

/// <summary>A model could not be obtained by its name. The message says what to do.</summary>
public sealed class HubException : IOException
{
    /// <param name="failure">The kind.</param>
    /// <param name="message">The event and the remedy.</param>
    /// <param name="innerException">The cause.</param>
    public HubException(HubFailure failure, string message, Exception? innerException = null)
        : base(message, innerException) => Failure = failure;

    /// <summary>The kind.</summary>
    public HubFailure Failure { get; }
}

/// <summary>A server that may answer the same request later.</summary>
/// <param name="message">The server's answer.</param>
/// <param name="wait">How long it asked to be left alone; zero where it did not say.</param>
internal sealed class HubBusyException(string message, TimeSpan wait) : IOException(message)
{
    public TimeSpan Wait { get; } = wait;
}
