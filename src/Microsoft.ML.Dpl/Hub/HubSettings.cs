namespace Microsoft.ML.Dpl.Hub;

/// <summary><see cref="HubOptions"/> with every gap filled from the environment, checked.</summary>
internal sealed record HubSettings(HubOptions Options, string CacheFolder, Uri Endpoint, string? Token, bool Offline)
{
    private const string DefaultEndpoint = "https://huggingface.co";

    /// <exception cref="ArgumentException">An option is out of range, or an environment variable makes no sense.</exception>
    public static HubSettings From(HubOptions? options) => From(options, Environment.GetEnvironmentVariable);

    /// <param name="options">Null: the defaults.</param>
    /// <param name="variable">Reads an environment variable; null where it is not set.</param>
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
        string home = Expand(Set("HF_HOME"))
            ?? Path.Combine(Expand(Set("XDG_CACHE_HOME")) ?? Path.Combine(UserFolder(), ".cache"), "huggingface");
        return new HubSettings(
            options,
            Path.GetFullPath(
                options.CacheFolder ?? Expand(Set("HF_HUB_CACHE")) ?? Expand(Set("HUGGINGFACE_HUB_CACHE")) ?? Path.Combine(home, "hub")
            ),
            options.Endpoint is { } given ? Checked(given, nameof(HubOptions.Endpoint)) : Parsed(Set("HF_ENDPOINT") ?? DefaultEndpoint),
            options.Token is { } token ? (token.Trim() is { Length: > 0 } text ? text : null)
                : IsOn(Set("HF_HUB_DISABLE_IMPLICIT_TOKEN")) ? null
                : Set("HF_TOKEN") ?? Set("HUGGING_FACE_HUB_TOKEN") ?? TokenIn(Expand(Set("HF_TOKEN_PATH")) ?? Path.Combine(home, "token")),
            options.Offline ?? IsOn(Set("HF_HUB_OFFLINE") ?? Set("TRANSFORMERS_OFFLINE"))
        );
    }

    private static bool IsOn(string? value) => value?.ToUpperInvariant() is "1" or "ON" or "YES" or "TRUE";

    private static Uri Parsed(string address) =>
        Uri.TryCreate(address, UriKind.Absolute, out Uri? endpoint)
            ? Checked(endpoint, "HF_ENDPOINT")
            : throw new ArgumentException($"HF_ENDPOINT is '{address}', which is no address such as {DefaultEndpoint}.");

    private static Uri Checked(Uri endpoint, string source)
    {
        if (!endpoint.IsAbsoluteUri || endpoint.Scheme is not ("http" or "https"))
            throw new ArgumentException($"{source} is '{endpoint}'; an address with http or https is expected, such as {DefaultEndpoint}.");
        // With a slash at the end a mirror's path is kept when a repository's is appended.
        return endpoint.AbsoluteUri.EndsWith('/') ? endpoint : new Uri(endpoint.AbsoluteUri + "/");
    }

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

    private static string? Expand(string? path) =>
        path is "~" ? UserFolder()
        : path is not null && path.StartsWith("~/", StringComparison.Ordinal) ? Path.Combine(UserFolder(), path[2..])
        : path;
}
