using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Authentication;
using System.Text;

namespace Microsoft.ML.Dpl.Hub;

/// <summary>A file on the hub.</summary>
/// <param name="Repository">The file's repository.</param>
/// <param name="Name">The file's name in the repository.</param>
/// <param name="Address">The address of the file's content on the hub.</param>
/// <param name="Commit">The revision's current commit.</param>
/// <param name="Etag">The hub's hash of the content: SHA-256 for a large file, git's SHA-1 for a small one.</param>
/// <param name="Length">The length in bytes.</param>
internal sealed record HubFile(string Repository, string Name, Uri Address, string Commit, string Etag, long Length);

/// <summary>Requests files from the hub. Redirects are followed here rather than by the handler, so that the token is sent only to the
/// hub's own address.</summary>
internal sealed class HubClient : IDisposable
{
    private const int MostRedirections = 10;
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(30);

    /// <summary>The public hub's own hosts, to which mirrors may redirect.</summary>
    private static readonly string[] PublicHubs = ["huggingface.co", "hf.co"];

    private readonly HubSettings _settings;
    private readonly int _questionRetries;
    private readonly HttpClient _http;

    /// <param name="settings">The hub's address, the token, timeouts and retries.</param>
    /// <param name="hasAnswer">Whether the cache can replace an answer, in which case a hub that does not respond is not retried.</param>
    /// <exception cref="ArgumentException">The token contains an invalid character.</exception>
    public HubClient(HubSettings settings, bool hasAnswer = false)
    {
        if (settings.Token is { } token && !token.All(c => c is > ' ' and <= '~'))
            throw new ArgumentException(
                "The access token (HF_TOKEN, the token file, or HubOptions.Token) contains a space or another character that a token "
                    + "cannot have. Set it again, or unset it: public models need none.",
                nameof(settings)
            );
        (_settings, _questionRetries) = (settings, hasAnswer ? 0 : settings.Options.Retries);
        _http = new HttpClient(
            new SocketsHttpHandler
            {
                AllowAutoRedirect = false,
                AutomaticDecompression = DecompressionMethods.None,
                UseCookies = false,
                ConnectTimeout = settings.Options.Timeout,
            }
        )
        {
            Timeout = System.Threading.Timeout.InfiniteTimeSpan,
        };
        _http.DefaultRequestHeaders.UserAgent.Add(
            new ProductInfoHeaderValue("Microsoft.ML.Dpl", typeof(HubClient).Assembly.GetName().Version?.ToString(3))
        );
    }

    public void Dispose() => _http.Dispose();

    /// <summary>Requests a file's commit, hash and length.</summary>
    /// <returns>The file, or null if the revision does not have it; and the commit, or null if the hub did not state it.</returns>
    /// <exception cref="HubException">The repository, the revision or the server cannot be found, or access is denied.</exception>
    public async Task<(HubFile? File, string? Commit)> FindAsync(
        string repository,
        string revision,
        string name,
        CancellationToken cancellationToken
    )
    {
        var address = new Uri(
            _settings.Endpoint,
            $"{repository}/resolve/{Uri.EscapeDataString(revision)}/{string.Join('/', name.Split('/').Select(Uri.EscapeDataString))}"
        );
        for (int failures = 0; ; failures++)
        {
            try
            {
                return await AskAsync(address, repository, revision, name, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (MayPass(e))
            {
                await DelayAsync(failures, _questionRetries, address, e, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Starts reading a file.</summary>
    /// <param name="file">The file, as <see cref="FindAsync"/> found it.</param>
    /// <param name="offset">The first byte to read; the server may ignore this and send the whole file (200 instead of 206).</param>
    /// <param name="cancellationToken">Cancels the request.</param>
    /// <returns>A response with status 200, 206 or 416; the caller disposes it.</returns>
    /// <exception cref="HubException">The server denies access or gives an invalid answer.</exception>
    /// <exception cref="HttpRequestException">The request failed in a way that may be transient.</exception>
    /// <exception cref="HubBusyException">The server is busy; the request may succeed later.</exception>
    public async Task<HttpResponseMessage> OpenAsync(HubFile file, long offset, CancellationToken cancellationToken)
    {
        Uri address = file.Address;
        for (int hops = 0; ; hops++)
        {
            HttpResponseMessage response = await SendAsync(HttpMethod.Get, address, offset, file.Etag, cancellationToken)
                .ConfigureAwait(false);
            try
            {
                if (HubAnswers.IsRedirect(response))
                {
                    address = Next(response, address, hops);
                    response.Dispose();
                    continue;
                }
                if (
                    response.StatusCode is HttpStatusCode.OK or HttpStatusCode.PartialContent or HttpStatusCode.RequestedRangeNotSatisfiable
                )
                    return response;
                throw Fault(response, file.Repository, file.Commit);
            }
            catch
            {
                response.Dispose();
                throw;
            }
        }
    }

    /// <summary>Whether a failure may be transient, so that a retry makes sense.</summary>
    public static bool MayPass(Exception e) =>
        e is HttpRequestException or TimeoutException or EndOfStreamException || (e is IOException and not HubException);

    /// <summary>Waits before the next attempt, with exponential backoff.</summary>
    /// <exception cref="HubException">The maximum number of retries has been reached, or the server's certificate is not
    /// trusted.</exception>
    public Task DelayAsync(int failures, Uri address, Exception reason, CancellationToken cancellationToken) =>
        DelayAsync(failures, _settings.Options.Retries, address, reason, cancellationToken);

    private async Task DelayAsync(int failures, int retries, Uri address, Exception reason, CancellationToken cancellationToken)
    {
        // A retry cannot fix an invalid certificate.
        if (reason is HttpRequestException { InnerException: AuthenticationException untrusted })
            throw new HubException(
                HubFailure.Unreachable,
                $"There is no secure connection to {address.Authority}: {untrusted.Message} If a proxy decrypts the traffic, install its "
                    + "certificate on this machine; check the clock and HF_ENDPOINT.",
                reason
            );
        if (failures >= retries)
            throw new HubException(
                HubFailure.Unreachable,
                $"{address.Authority} could not be used, {(failures == 0 ? "1 try" : $"{failures + 1} tries")}: {Explained(reason)} "
                    + "What was downloaded is kept; try again when the network is back.",
                reason
            );
        double factor = Math.Pow(2, Math.Min(failures, 16));
        TimeSpan delay = _settings.Options.RetryDelay * factor,
            asked = reason is HubBusyException busy ? busy.Wait : TimeSpan.Zero;
        if (delay > LongestDelay)
            delay = LongestDelay;
        await Task.Delay(delay > asked ? delay : asked, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Runs one operation that waits for the server, with the timeout from the options.</summary>
    /// <exception cref="TimeoutException">The timeout has expired.</exception>
    public async Task<T> WithinTimeoutAsync<T>(Func<CancellationToken, Task<T>> wait, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(_settings.Options.Timeout);
        try
        {
            return await wait(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"The server sent nothing for {_settings.Options.Timeout.TotalSeconds:0.#} s.", e);
        }
    }

    private async Task<(HubFile? File, string? Commit)> AskAsync(
        Uri address,
        string repository,
        string revision,
        string name,
        CancellationToken cancellationToken
    )
    {
        string? commit = null;
        Uri at = address;
        for (int hops = 0; ; hops++)
        {
            using HttpResponseMessage response = await SendAsync(HttpMethod.Head, at, offset: 0, etag: null, cancellationToken)
                .ConfigureAwait(false);
            commit ??= HubAnswers.Header(response, "X-Repo-Commit");
            string? linked = HubAnswers.Header(response, "X-Linked-Etag");
            if (HubAnswers.IsRedirect(response) && linked is null)
            {
                // Only the hub itself knows the hash of a file that is stored elsewhere; headers of the storage host are not reliable for
                // that.
                at = Next(response, at, hops);
                if (!IsHub(at) && !IsPublicHub(at))
                    throw new HubException(
                        HubFailure.BadAnswer,
                        $"{address} redirects to {at.Authority} without naming the content's hash (X-Linked-Etag). Is HF_ENDPOINT right?"
                    );
                continue;
            }
            if (HubAnswers.IsFileMissing(response))
                return (null, commit);
            if (!HubAnswers.IsRedirect(response) && !response.IsSuccessStatusCode)
                throw Fault(response, repository, revision);

            string? etag = HubAnswers.Unquoted(linked ?? HubAnswers.Header(response, "ETag"));
            // The content length of a redirect is not that of the target file.
            long? length =
                long.TryParse(HubAnswers.Header(response, "X-Linked-Size"), NumberStyles.None, CultureInfo.InvariantCulture, out long size)
                    ? size
                : HubAnswers.IsRedirect(response) ? null
                : response.Content.Headers.ContentLength;
            if (!HubNames.IsCommit(commit) || !HubNames.IsBlob(etag) || length is not >= 0)
                throw new HubException(
                    HubFailure.BadAnswer,
                    $"{address} does not say which commit, content and length it has (X-Repo-Commit, ETag, Content-Length). Is "
                        + "HF_ENDPOINT a hub?"
                );
            return (new HubFile(repository, name, address, commit!, etag!, length.Value), commit);
        }
    }

    private Task<HttpResponseMessage> SendAsync(
        HttpMethod method,
        Uri address,
        long offset,
        string? etag,
        CancellationToken cancellationToken
    ) =>
        WithinTimeoutAsync(
            async limit =>
            {
                using var request = new HttpRequestMessage(method, address);
                request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
                if (IsHub(address) && _settings.Token is { } token)
                    request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
                else if (IsHub(address) && _settings.Login is { } login)
                    request.Headers.Authorization = new AuthenticationHeaderValue(
                        "Basic",
                        Convert.ToBase64String(Encoding.UTF8.GetBytes(login))
                    );
                if (offset > 0)
                {
                    request.Headers.Range = new RangeHeaderValue(offset, null);
                    // Another host has its own ETags, so there only the check of the complete file's hash protects the content.
                    if (IsHub(address))
                        request.Headers.IfRange = new RangeConditionHeaderValue($"\"{etag}\"");
                }
                return await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit).ConfigureAwait(false);
            },
            cancellationToken
        );

    private Exception Fault(HttpResponseMessage response, string repository, string revision) =>
        HubAnswers.MayPass(response) ? new HubBusyException($"{HubAnswers.Answered(response)}.", HubAnswers.AskedWait(response))
        : response.RequestMessage?.RequestUri is { } address && !IsHub(address) ? HubAnswers.FaultElsewhere(response, address, repository)
        : HubAnswers.Fault(response, repository, revision, _settings);

    /// <summary>
    /// The target of a redirect. Redirects from https to http and to any other scheme are rejected.
    /// </summary>
    /// <param name="response">The redirect response.</param>
    /// <param name="from">The address that sent it.</param>
    /// <param name="hops">Number of redirects so far.</param>
    /// <exception cref="HubException">The redirect has no target, leads to another scheme, or exceeds the maximum number.</exception>
    internal static Uri Next(HttpResponseMessage response, Uri from, int hops)
    {
        if (response.Headers.Location is not { } location)
            throw new HubException(HubFailure.BadAnswer, $"{from} redirects without naming an address.");
        var next = new Uri(from, location);
        if (hops >= MostRedirections)
            throw new HubException(HubFailure.BadAnswer, $"{from} redirects more than {MostRedirections} times.");
        if (next.Scheme != from.Scheme && next.Scheme != "https")
            throw new HubException(
                HubFailure.BadAnswer,
                $"{from} redirects to {next.Scheme}://{next.Authority}, which is not encrypted; such redirects are refused."
            );
        return next;
    }

    // .NET's message often just refers to the inner exception.
    private static string Explained(Exception e) =>
        e is HttpRequestException { InnerException: { } inner } && !e.Message.Contains(inner.Message, StringComparison.Ordinal)
            ? $"{e.Message} {inner.Message}"
            : e.Message;

    private static bool IsPublicHub(Uri address) =>
        address.Scheme == "https" && address.IsDefaultPort && PublicHubs.Contains(address.Host, StringComparer.OrdinalIgnoreCase);

    private bool IsHub(Uri address) =>
        address.Scheme == _settings.Endpoint.Scheme
        && address.Authority.Equals(_settings.Endpoint.Authority, StringComparison.OrdinalIgnoreCase);
}
