using System.Net;

namespace Microsoft.ML.Dpl.Hub;

/// <summary>What the hub's answers mean, in words for a person.</summary>
internal static class HubAnswers
{
    private const string ErrorCode = "X-Error-Code", NoFile = "EntryNotFound", NoRevision = "RevisionNotFound", NoRepository = "RepoNotFound", Gated = "GatedRepo";

    public static bool IsRedirect(HttpResponseMessage response) => (int)response.StatusCode is 301 or 302 or 303 or 307 or 308;

    /// <summary>Whether the same request may succeed later.</summary>
    public static bool MayPass(HttpResponseMessage response)
        => response.StatusCode is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests || (int)response.StatusCode >= 500;

    /// <summary>Whether the repository is there but lacks the file.</summary>
    public static bool IsFileMissing(HttpResponseMessage response)
        => response.StatusCode == HttpStatusCode.NotFound && Header(response, ErrorCode) is NoFile or null;

    /// <summary>The first value of a header; null where it is absent.</summary>
    public static string? Header(HttpResponseMessage response, string name) => response.Headers.TryGetValues(name, out IEnumerable<string>? values) ? values.FirstOrDefault() : null;

    /// <summary>The complaint about an answer that is neither a success nor a missing file.</summary>
    public static HubException Fault(HttpResponseMessage response, string repository, string revision, HubSettings settings)
    {
        string place = new Uri(settings.Endpoint, repository).AbsoluteUri;
        string token = settings.Token is null
            ? "Set HF_TOKEN to a token of an account that has access."
            : "The token that was sent (HF_TOKEN, or the token file) has no access to it.";
        return (Header(response, ErrorCode), response.StatusCode) switch
        {
            (Gated, _) => new HubException(HubFailure.AccessDenied, $"'{repository}' is gated: accept its terms at {place} first. {token}"),
            (NoRevision, _) => new HubException(HubFailure.RevisionNotFound, $"'{repository}' has no revision '{revision}'; its branches and tags are listed at {place}/tree/main."),
            (NoRepository, _) => new HubException(HubFailure.RepositoryNotFound, $"{settings.Endpoint.Authority} has no repository '{repository}', or it is private. Check the spelling. If it is private: {token}"),
            (_, HttpStatusCode.Unauthorized) => new HubException(HubFailure.AccessDenied, $"{settings.Endpoint.Authority} gives '{repository}' to nobody without access (401), and says the same where there is no such repository. Check the spelling. {token}"),
            (_, HttpStatusCode.Forbidden) => new HubException(HubFailure.AccessDenied, $"{settings.Endpoint.Authority} denies access to '{repository}' (403). {token}"),
            _ => new HubException(HubFailure.BadAnswer, $"{response.RequestMessage?.RequestUri} answered {(int)response.StatusCode} ({response.ReasonPhrase}), which a hub does not do for a file of '{repository}'. Is HF_ENDPOINT right?"),
        };
    }
}
