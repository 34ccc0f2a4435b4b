using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Dpl.Hub;

/// <summary>Where models come from by name, and where they are kept. What is left out follows the environment variables that Hugging Face's
/// own tools follow.</summary>
public sealed record HubOptions
{
    /// <summary>A branch, a tag, or a commit of 40 hexadecimal digits. A commit that is in the cache is used without asking the
    /// hub.</summary>
    public string Revision { get; init; } = "main";

    /// <summary>The cache; <c>null</c>: <c>HF_HUB_CACHE</c>, <c>HF_HOME</c>/hub, <c>XDG_CACHE_HOME</c>/huggingface/hub or
    /// <c>~/.cache/huggingface/hub</c>, the first that is set. Variables in these (<c>$HOME</c>) are replaced.</summary>
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

    /// <summary>Receives reports of every file at its beginning, now and then, and at its end, on the thread that downloads.</summary>
    public IProgress<HubProgress>? Progress { get; init; }

    /// <summary>The longest silence of the server before an attempt counts as failed. Positive.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Further attempts at a request that failed for a reason that may pass, at least 0. Counted again from 0 whenever a download
    /// got further.</summary>
    public int Retries { get; init; } = 5;

    /// <summary>The wait before the first of these attempts, which doubles each time up to 30 seconds; a busy server may ask for up to five
    /// minutes (Retry-After). Not negative.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long another process may hold a file's lock without the file growing. Positive.</summary>
    public TimeSpan LockTimeout { get; init; } = TimeSpan.FromMinutes(5);

    // What a record prints of itself ends in logs, where neither a token nor a password in an address belongs.
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

/// <summary>How far the download of one file is.</summary>
public sealed record HubProgress
{
    internal HubProgress(string file, long bytes, long totalBytes) => (File, Bytes, TotalBytes) = (file, bytes, totalBytes);

    /// <summary>Its name in the repository.</summary>
    public string File { get; }

    /// <summary>Bytes downloaded so far, those of an earlier attempt included.</summary>
    public long Bytes { get; }

    /// <summary>Bytes of the whole file.</summary>
    public long TotalBytes { get; }
}

/// <summary><see cref="HubOptions"/> with every gap filled from the environment, checked.</summary>
/// <param name="Options">As they were given.</param>
/// <param name="CacheFolder">Its full path.</param>
/// <param name="Endpoint">The hub's address.</param>
/// <param name="Token">For repositories that need one; null: none.</param>
/// <param name="OfflineBy">The environment variable, or <c>Offline</c> for the option, by which the network must not be used; null: it
/// may.</param>
internal sealed partial record HubSettings(HubOptions Options, string CacheFolder, Uri Endpoint, string? Token, string? OfflineBy)
{
    private const string DefaultEndpoint = "https://huggingface.co";

    private static readonly string[] OfflineVariables = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];

    /// <summary>Whether the network must not be used.</summary>
    public bool Offline => OfflineBy is not null;

    /// <summary>The name and password that the address was given with, <c>name:password</c>; they are sent where there is no token, and no
    /// message shows them. Null: none.</summary>
    public string? Login { get; private init; }

    /// <exception cref="ArgumentException">An option is out of range, or an environment variable makes no sense.</exception>
    public static HubSettings From(HubOptions? options) => From(options, Environment.GetEnvironmentVariable);

    /// <param name="options">The options; null: the defaults.</param>
    /// <param name="variable">The reader of environment variables, null for one that is not set.</param>
    /// <exception cref="ArgumentException">As above.</exception>
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
                $"HF_ENDPOINT is '{LoginPattern().Replace(address, "")}', which is no address such as {DefaultEndpoint}."
            );

    private static Uri Checked(Uri endpoint, string source)
    {
        if (!endpoint.IsAbsoluteUri || endpoint.Scheme is not ("http" or "https"))
            throw new ArgumentException(
                $"{source} is '{LoginPattern().Replace(endpoint.OriginalString, "")}'; an address with http or https is expected, such as "
                    + $"{DefaultEndpoint}."
            );
        // With a slash at the end a mirror's path is kept when a repository's is appended.
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
            return null; // most people have no token, and public models need none
        }
    }

    private static string UserFolder() =>
        Environment.GetFolderPath(Environment.SpecialFolder.UserProfile) is { Length: > 0 } folder ? folder : Path.GetTempPath();

    private static string Expand(string path, Func<string, string?> variable)
    {
        // As Python's expandvars, which Hugging Face's tools call: what is not set stays as it is written.
        path = VariablePattern().Replace(path, match => variable(match.Groups[1].Value + match.Groups[2].Value) ?? match.Value);
        return path is "~" ? UserFolder()
            : path.StartsWith("~/", StringComparison.Ordinal) ? Path.Combine(UserFolder(), path[2..])
            : path;
    }

    [GeneratedRegex(@"\$(?:(\w+)|\{([^}]*)\})")]
    private static partial Regex VariablePattern();
}

/// <summary>What may name a repository, a revision, a file and its content. Everything here becomes part of a path, so nothing may lead out
/// of the cache.</summary>
internal static partial class HubNames
{
    private const int LongestRepository = 96;

    public static bool IsRepository(string name) =>
        name.Length <= LongestRepository
        && RepositoryPattern().IsMatch(name)
        && !name.Contains("..", StringComparison.Ordinal)
        && !name.Contains("--", StringComparison.Ordinal);

    /// <exception cref="ArgumentException">It cannot be a branch, a tag or a commit.</exception>
    public static void RequireRevision(string revision)
    {
        if (!IsRelativePath(revision))
            throw new ArgumentException($"'{revision}' is no revision: a branch, a tag or a commit is expected.", nameof(revision));
    }

    /// <summary>Whether it is a whole commit, which never changes.</summary>
    public static bool IsCommit(string? text) => text is { Length: 40 } && text.All(char.IsAsciiHexDigitLower);

    /// <summary>Whether an ETag can be a blob's file name.</summary>
    public static bool IsBlob(string? text) =>
        text is { Length: > 0 and <= 128 } && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');

    /// <summary>Whether names separated by slashes stay below the folder they begin in.</summary>
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
