using System.Net;
using System.Net.Http.Headers;

namespace Microsoft.ML.Dpl.Hub;

/// <summary>Interprets the hub's responses and describes them for users.</summary>
internal static class HubAnswers
{
    /// <summary>The longest wait that a server may request.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(5);

    private const int MostWords = 300;
    private const string ErrorMessage = "X-Error-Message",
        InvalidToken = "Invalid credentials";
    private const string ErrorCode = "X-Error-Code",
        NoFile = "EntryNotFound",
        NoRevision = "RevisionNotFound",
        NoRepository = "RepoNotFound",
        Gated = "GatedRepo";

    public static bool IsRedirect(HttpResponseMessage response) => (int)response.StatusCode is 301 or 302 or 303 or 307 or 308;

    /// <summary>Whether the same request may succeed later.</summary>
    public static bool MayPass(HttpResponseMessage response) =>
        response.StatusCode is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests || (int)response.StatusCode >= 500;

    /// <summary>Whether the repository exists but does not have the file.</summary>
    public static bool IsFileMissing(HttpResponseMessage response) =>
        response.StatusCode == HttpStatusCode.NotFound && Header(response, ErrorCode) is NoFile or null;

    /// <summary>The first value of a header, unmodified; null if the header is missing.</summary>
    public static string? Header(HttpResponseMessage response, string name) =>
        response.Headers.NonValidated.TryGetValues(name, out HeaderStringValues values) ? values.FirstOrDefault() : null;

    /// <summary>An ETag's text without its quotation marks, which some mirrors omit, and without the prefix of a weak ETag.</summary>
    public static string? Unquoted(string? etag) =>
        etag is null ? null : (etag.StartsWith("W/", StringComparison.Ordinal) ? etag[2..] : etag).Trim('"');

    /// <summary>How long a busy server asks to wait, at most five minutes; zero if it does not say.</summary>
    public static TimeSpan AskedWait(HttpResponseMessage response)
    {
        TimeSpan asked = response.Headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - DateTimeOffset.UtcNow,
            _ => TimeSpan.Zero,
        };
        return asked < TimeSpan.Zero ? TimeSpan.Zero
            : asked > LongestWait ? LongestWait
            : asked;
    }

    /// <summary>The start of a sentence about a response.</summary>
    public static string Answered(HttpResponseMessage response) =>
        $"{Place(response.RequestMessage?.RequestUri)} answered {(int)response.StatusCode} ({Shown(response.ReasonPhrase)})";

    /// <summary>An address for messages, without its query string, which may contain an access key to the storage host.</summary>
    public static string Place(Uri? address) =>
        address?.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped) ?? "";

    /// <summary>The exception for a failed response of the host that stores a file's content, to which the token is not sent.</summary>
    public static HubException FaultElsewhere(HttpResponseMessage response, Uri address, string repository) =>
        new(
            HubFailure.BadAnswer,
            $"{address.Authority}, where the hub keeps files of '{repository}', answered {(int)response.StatusCode} "
                + $"({Shown(response.ReasonPhrase)}). The token is not the cause, since it is not sent there: try again, and check whether "
                + $"a proxy or firewall blocks {address.Authority}."
        );

    /// <summary>The exception for a response that is neither a success nor a missing file.</summary>
    public static HubException Fault(HttpResponseMessage response, string repository, string revision, HubSettings settings)
    {
        string place = new Uri(settings.Endpoint, repository).AbsoluteUri;
        string token = settings.Token is null
            ? "Set HF_TOKEN to a token of an account that has access."
            : "The token that was sent (HF_TOKEN, or the token file) has no access to it.";
        string? said = Header(response, ErrorMessage);
        string words = said is null ? "" : $" It says: {Shown(said)}";
        return (Header(response, ErrorCode), response.StatusCode) switch
        {
            (_, HttpStatusCode.Unauthorized)
                when settings.Token is not null && said?.Contains(InvalidToken, StringComparison.OrdinalIgnoreCase) == true =>
                new HubException(
                    HubFailure.AccessDenied,
                    $"{settings.Endpoint.Authority} does not accept the token that was sent (HF_TOKEN, or the token file): it is "
                        + $"wrong or has expired. Make a new one at {new Uri(settings.Endpoint, "settings/tokens")}, or unset it: "
                        + "public models need none."
                ),
            (Gated, _) => new HubException(HubFailure.AccessDenied, $"'{repository}' is gated: accept its terms at {place} first. {token}"),
            (NoRevision, _) => new HubException(
                HubFailure.RevisionNotFound,
                $"'{repository}' has no revision '{revision}'; its branches and tags are listed at {place}/tree/main."
            ),
            (NoRepository, _) => new HubException(
                HubFailure.RepositoryNotFound,
                $"{settings.Endpoint.Authority} has no repository '{repository}', or it is private. Check the spelling. If it is "
                    + $"private: {token}"
            ),
            (_, HttpStatusCode.Unauthorized) => new HubException(
                HubFailure.AccessDenied,
                $"{settings.Endpoint.Authority} gives '{repository}' only to accounts with access (401), and answers the same if there is "
                    + $"no such repository. Check the spelling. {token}{words}"
            ),
            (_, HttpStatusCode.Forbidden) => new HubException(
                HubFailure.AccessDenied,
                $"{settings.Endpoint.Authority} denies access to '{repository}' (403). {token}{words}"
            ),
            (_, HttpStatusCode.ProxyAuthenticationRequired) => new HubException(
                HubFailure.AccessDenied,
                $"The proxy on the way to {settings.Endpoint.Authority} asks for a name and a password (407). Put them into "
                    + "HTTPS_PROXY or HTTP_PROXY: http://NAME:PASSWORD@proxy:port."
            ),
            _ => new HubException(
                HubFailure.BadAnswer,
                $"{Answered(response)}, which a hub does not do for a file of '{repository}'. Is HF_ENDPOINT right?{words}"
            ),
        };
    }

    /// <summary>Text from a server, without control characters and limited in length.</summary>
    public static string Shown(string? words) => string.Concat((words ?? "").Where(c => !char.IsControl(c)).Take(MostWords));
}
