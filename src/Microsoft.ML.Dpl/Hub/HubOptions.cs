using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Dpl.Hub;

/// <summary>Where models are downloaded from by name, and where they are cached. Options that are not set default to the same environment
/// variables as Hugging Face's own tools.</summary>
public sealed record HubOptions
{
    /// <summary>A branch, a tag, or a commit of 40 hexadecimal digits. A cached commit is used without accessing the hub.</summary>
    public string Revision { get; init; } = "main";

    /// <summary>The cache folder; <c>null</c> for <c>HF_HUB_CACHE</c>, <c>HUGGINGFACE_HUB_CACHE</c>, <c>HF_HOME</c>/hub,
    /// <c>XDG_CACHE_HOME</c>/huggingface/hub or <c>~/.cache/huggingface/hub</c>, whichever is set first. Environment variables in these
    /// paths (<c>$HOME</c>) are expanded.</summary>
    public string? CacheFolder { get; init; }

    /// <summary>The hub's address; <c>null</c> for <c>HF_ENDPOINT</c> or, if that is not set, https://huggingface.co.</summary>
    public Uri? Endpoint { get; init; }

    /// <summary>The access token for gated and private models, empty for none; <c>null</c> for <c>HF_TOKEN</c>, or the content of the file
    /// <c>HF_TOKEN_PATH</c> or <c>HF_HOME</c>/token, unless <c>HF_HUB_DISABLE_IMPLICIT_TOKEN</c> is 1. It is sent only to the hub's own
    /// address.</summary>
    public string? Token { get; init; }

    /// <summary>Whether the network must not be used; <c>null</c> to decide by <c>HF_HUB_OFFLINE</c> or else <c>TRANSFORMERS_OFFLINE</c>,
    /// which mean offline if set to 1, ON, YES or TRUE.</summary>
    public bool? Offline { get; init; }

    /// <summary>Receives the progress of every file at the start, periodically, and at the end, on the downloading thread.</summary>
    public IProgress<HubProgress>? Progress { get; init; }

    /// <summary>How long the server may be silent before an attempt counts as failed. Positive.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Number of retries for a request with a transient failure, at least 0. The count restarts whenever a download has made
    /// progress.</summary>
    public int Retries { get; init; } = 5;

    /// <summary>The delay before the first retry, which doubles each time up to 30 seconds; a busy server may ask for up to five minutes
    /// (Retry-After). Not negative.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long another process may hold a file's lock without the file growing. Positive.</summary>
    public TimeSpan LockTimeout { get; init; } = TimeSpan.FromMinutes(5);

    // A record's ToString may end up in logs, so the token and a password in the address are hidden.
    private bool PrintMembers(StringBuilder builder)
    {
        string? endpoint = Endpoint?.GetComponents(UriComponents.AbsoluteUri & ~UriComponents.UserInfo, UriFormat.UriEscaped);
        builder.Append(
            CultureInfo.InvariantCulture,
            $"{nameof(Revision)} = {Revision}, {nameof(CacheFolder)} = {CacheFolder}, {nameof(Endpoint)} = {endpoint}, "
                + $"{nameof(Token)} = {(string.IsNullOrEmpty(Token) ? "none" : "hidden")}, {nameof(Offline)} = {Offline}, "
                + $"{nameof(Timeout)} = {Timeout}, {nameof(Retries)} = {Retries}, {nameof(RetryDelay)} = {RetryDelay}, "
                + $"{nameof(LockTimeout)} = {LockTimeout}"
        );
        return true;
    }
}

/// <summary>The progress of one file's download.</summary>
public sealed record HubProgress
{
    internal HubProgress(string file, long bytes, long totalBytes) => (File, Bytes, TotalBytes) = (file, bytes, totalBytes);

    /// <summary>The file's name in the repository.</summary>
    public string File { get; }

    /// <summary>Bytes downloaded so far, including those of earlier attempts.</summary>
    public long Bytes { get; }

    /// <summary>The file's total size in bytes.</summary>
    public long TotalBytes { get; }
}

/// <summary><see cref="HubOptions"/> after checks, with missing values taken from the environment.</summary>
/// <param name="Options">The options as given.</param>
/// <param name="CacheFolder">The full path of the cache.</param>
/// <param name="Endpoint">The hub's address.</param>
/// <param name="Token">The access token for repositories that need one; null for none.</param>
/// <param name="OfflineBy">The environment variable, or <c>Offline</c> for the option, that forbids using the network; null if it may be
/// used.</param>
internal sealed partial record HubSettings(HubOptions Options, string CacheFolder, Uri Endpoint, string? Token, string? OfflineBy)
{
    private const string DefaultEndpoint = "https://huggingface.co";

    private static readonly string[] OfflineVariables = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];

    /// <summary>Whether the network must not be used.</summary>
    public bool Offline => OfflineBy is not null;

    /// <summary>The user name and password from the given address, <c>name:password</c>, which are sent if there is no token and are never
    /// shown in messages; null for none.</summary>
    public string? Login { get; private init; }

    /// <exception cref="ArgumentException">An option is out of range, or an environment variable has an invalid value.</exception>
    public static HubSettings From(HubOptions? options) => From(options, Environment.GetEnvironmentVariable);

    /// <param name="options">The options; null for the defaults.</param>
    /// <param name="variable">Returns the value of an environment variable, or null if it is not set.</param>
    /// <exception cref="ArgumentException">An option is out of range, or an environment variable has an invalid value.</exception>
    public static HubSettings From(HubOptions? options, Func<string, string?> variable)
    {
        options ??= new HubOptions();
        HubNames.RequireRevision(options.Revision);
        if (options.Timeout <= TimeSpan.Zero)
            throw new ArgumentException($"Timeout is {options.Timeout}; it must be positive.", nameof(options));
        if (options.LockTimeout <= TimeSpan.Zero)
            throw new ArgumentException($"LockTimeout is {options.LockTimeout}; it must be positive.", nameof(options));
        if (options.Retries < 0)
            throw new ArgumentException($"Retries is {options.Retries}; it must be at least 0.", nameof(options));
        if (options.RetryDelay < TimeSpan.Zero)
            throw new ArgumentException($"RetryDelay is {options.RetryDelay}; it must not be negative.", nameof(options));

        string? Set(string name) => variable(name) is { } value && !string.IsNullOrWhiteSpace(value) ? value.Trim() : null;
        string? Folder(string name) => Set(name) is { } path ? Expand(path, variable) : null;
        string home = Folder("HF_HOME") ?? Path.Combine(Folder("XDG_CACHE_HOME") ?? Path.Combine(UserFolder(), ".cache"), "huggingface");
        Uri endpoint = options.Endpoint is { } given
            ? Checked(given, nameof(HubOptions.Endpoint))
            : Parsed(Set("HF_ENDPOINT") ?? DefaultEndpoint);
        return new HubSettings(
            options,
            Path.GetFullPath(options.CacheFolder ?? Folder("HF_HUB_CACHE") ?? Folder("HUGGINGFACE_HUB_CACHE") ?? Path.Combine(home, "hub")),
            WithoutLogin(endpoint),
            options.Token is { } token ? (token.Trim() is { Length: > 0 } text ? text : null)
                : IsOn(Set("HF_HUB_DISABLE_IMPLICIT_TOKEN")) ? null
                : Set("HF_TOKEN") ?? Set("HUGGING_FACE_HUB_TOKEN") ?? TokenIn(Folder("HF_TOKEN_PATH") ?? Path.Combine(home, "token")),
            options.Offline is { } asked
                ? asked
                    ? nameof(HubOptions.Offline)
                    : null
                : Array.Find(OfflineVariables, name => Set(name) is not null) is { } variableName && IsOn(Set(variableName))
                    ? variableName
                    : null
        )
        {
            Login = endpoint.UserInfo.Length > 0 ? Uri.UnescapeDataString(endpoint.UserInfo) : null,
        };
    }

    private static bool IsOn(string? value) => value?.ToUpperInvariant() is "1" or "ON" or "YES" or "TRUE";

    private static Uri Parsed(string address) =>
        Uri.TryCreate(address, UriKind.Absolute, out Uri? endpoint)
            ? Checked(endpoint, "HF_ENDPOINT")
            : throw new ArgumentException(
                $"HF_ENDPOINT is '{LoginPattern().Replace(address, "")}', which is not an address such as {DefaultEndpoint}."
            );

    private static Uri Checked(Uri endpoint, string source)
    {
        if (!endpoint.IsAbsoluteUri || endpoint.Scheme is not ("http" or "https"))
            throw new ArgumentException(
                $"{source} is '{LoginPattern().Replace(endpoint.OriginalString, "")}'; an address with http or https is expected, such as "
                    + $"{DefaultEndpoint}."
            );
        // The trailing slash keeps a mirror's path when a repository's path is appended.
        return endpoint.AbsoluteUri.EndsWith('/') ? endpoint : new Uri(endpoint.AbsoluteUri + "/");
    }

    private static Uri WithoutLogin(Uri address) =>
        address.UserInfo.Length == 0
            ? address
            : new Uri(address.GetComponents(UriComponents.AbsoluteUri & ~UriComponents.UserInfo, UriFormat.UriEscaped));

    [GeneratedRegex(@"[^/@]*@")]
    private static partial Regex LoginPattern();

    private static string? TokenIn(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim() is { Length: > 0 } token ? token : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // a missing token is normal: public models need none
        }
    }

    private static string UserFolder() =>
        Environment.GetFolderPath(Environment.SpecialFolder.UserProfile) is { Length: > 0 } folder ? folder : Path.GetTempPath();

    private static string Expand(string path, Func<string, string?> variable)
    {
        // Like Python's expandvars, which Hugging Face's tools call: variables that are not set remain unexpanded.
        path = VariablePattern().Replace(path, match => variable(match.Groups[1].Value + match.Groups[2].Value) ?? match.Value);
        return path is "~" ? UserFolder()
            : path.StartsWith("~/", StringComparison.Ordinal) ? Path.Combine(UserFolder(), path[2..])
            : path;
    }

    [GeneratedRegex(@"\$(?:(\w+)|\{([^}]*)\})")]
    private static partial Regex VariablePattern();
}

/// <summary>Validates names of repositories, revisions, files and blobs. They become parts of paths, so none may lead out of the
/// cache.</summary>
internal static partial class HubNames
{
    private const int LongestRepository = 96;

    public static bool IsRepository(string name) =>
        name.Length <= LongestRepository
        && RepositoryPattern().IsMatch(name)
        && !name.Contains("..", StringComparison.Ordinal)
        && !name.Contains("--", StringComparison.Ordinal);

    /// <exception cref="ArgumentException">The text cannot be a branch, a tag or a commit.</exception>
    public static void RequireRevision(string revision)
    {
        if (!IsRelativePath(revision))
            throw new ArgumentException($"'{revision}' is not a revision: a branch, a tag or a commit is expected.", nameof(revision));
    }

    /// <summary>Whether the text is a full commit hash, whose content never changes.</summary>
    public static bool IsCommit(string? text) => text is { Length: 40 } && text.All(char.IsAsciiHexDigitLower);

    /// <summary>Whether an ETag can be a blob's file name.</summary>
    public static bool IsBlob(string? text) =>
        text is { Length: > 0 and <= 128 } && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');

    /// <summary>Whether a slash-separated path stays within its base folder.</summary>
    public static bool IsRelativePath(string path) =>
        path.Length is > 0 and <= 255
        && path.Split('/')
            .All(part =>
                part.Length > 0
                && part.Trim('.', ' ').Length > 0
                && part.All(c => c >= ' ' && !"\\:*?\"<>|".Contains(c, StringComparison.Ordinal))
            );

    [GeneratedRegex(@"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)?\z")]
    private static partial Regex RepositoryPattern();
}
