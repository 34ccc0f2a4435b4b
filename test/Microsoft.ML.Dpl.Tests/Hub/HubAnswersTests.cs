using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Hub;

namespace Microsoft.ML.Dpl.Tests.Hub;

/// <summary>Unexpected responses from the hub, a mirror or a proxy, and the messages that users get for them.</summary>
public sealed class HubAnswersTests : IDisposable
{
    private readonly HubFixture _hub = new();

    public void Dispose() => _hub.Dispose();

    [Fact]
    public void A_token_that_has_expired_is_told_from_a_model_that_is_private()
    {
        _hub.Server.Change = (_, _) => HubServer.Empty(401, ("X-Error-Message", "Invalid credentials in Authorization header"));
        HubException refusal = _hub.Refusal(_hub.Options with { Token = "hf_old" });
        Assert.Equal(HubFailure.AccessDenied, refusal.Failure);
        Assert.Contains("expired", refusal.Message);
        Assert.Contains($"{_hub.Server.Address}settings/tokens", refusal.Message);

        // The hub's own message is passed on, but without terminal control characters.
        _hub.Server.Change = (_, _) => HubServer.Empty(403, ("X-Error-Message", "Access to this resource is disabled.\u001b[2J"));
        Assert.EndsWith("It says: Access to this resource is disabled.[2J", _hub.Refusal().Message);
    }

    [Theory]
    [InlineData("hf_a\nX-Evil: 1")]
    [InlineData("hf_a b")]
    [InlineData("hf_\u00e4")]
    public void What_cannot_be_a_token_is_refused_before_anything_is_asked(string token)
    {
        Assert.Contains("HF_TOKEN", Assert.Throws<ArgumentException>(() => _hub.Open(_hub.Options with { Token = token })).Message);
        Assert.Empty(_hub.Server.Requests);
    }

    [Fact]
    public void A_server_that_does_not_prove_who_it_is_gets_nothing_and_is_not_asked_again()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using X509Certificate2 made = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256).CreateSelfSigned(
            DateTimeOffset.UtcNow.AddDays(-1),
            DateTimeOffset.UtcNow.AddDays(1)
        );
        // Windows needs a persisted private key, hence the export and import
        using X509Certificate2 certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pfx), password: null);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        int connections = 0,
            bytes = 0;
        _ = Task.Run(async () =>
        {
            while (true)
            {
                using TcpClient client = await listener.AcceptTcpClientAsync();
                Interlocked.Increment(ref connections);
                using var tls = new SslStream(client.GetStream());
                try
                {
                    await tls.AuthenticateAsServerAsync(certificate);
                    Interlocked.Add(ref bytes, await tls.ReadAsync(new byte[1000]));
                }
                catch (Exception e) when (e is IOException or AuthenticationException)
                {
                    continue; // the client rejected the certificate
                }
            }
        });
        HubOptions options = _hub.Options with
        {
            Endpoint = new Uri($"https://{listener.LocalEndpoint}"),
            Token = "hf_secret",
            RetryDelay = TimeSpan.FromMinutes(10),
        };
        using var cancellationToken = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        HubException refusal = Assert.Throws<HubException>(() =>
            ClipBackbone.FromPretrained(HubServer.Repository, options, cancellationToken.Token)
        );
        Assert.Equal(HubFailure.Unreachable, refusal.Failure);
        Assert.Contains("no secure connection", refusal.Message);
        Assert.Contains("certificate", refusal.Message);
        Assert.Equal((1, 0), (connections, bytes));
    }

    [Theory]
    [InlineData("https://hub.example/a/b", "http://hub.example/a/b")]
    [InlineData("https://hub.example/a/b", "http://cdn.example/c")]
    [InlineData("https://hub.example/a/b", "ftp://cdn.example/c")]
    [InlineData("http://hub.example/a/b", "ftp://cdn.example/c")]
    [InlineData("http://hub.example/a/b", "file:///etc/passwd")]
    [InlineData("http://hub.example/a/b", "https://cdn.example/c", "https://cdn.example/c")]
    [InlineData("http://hub.example/a/b", "http://cdn.example/c", "http://cdn.example/c")]
    [InlineData("https://hub.example/a/b", "https://cdn.example/c", "https://cdn.example/c")]
    [InlineData("https://hub.example/a/b", "/c", "https://hub.example/c")]
    [InlineData("https://hub.example/a/b", "//cdn.example/c", "https://cdn.example/c")]
    public void A_redirection_never_leads_to_what_is_less_protected(string from, string location, string? to = null)
    {
        using var response = new HttpResponseMessage(HttpStatusCode.Found);
        response.Headers.Location = new Uri(location, UriKind.RelativeOrAbsolute);
        if (to is not null)
        {
            Assert.Equal(to, HubClient.Next(response, new Uri(from), hops: 9).AbsoluteUri);
            return;
        }
        HubException refusal = Assert.Throws<HubException>(() => HubClient.Next(response, new Uri(from), hops: 0));
        Assert.Equal(HubFailure.BadAnswer, refusal.Failure);
        Assert.Contains("not encrypted", refusal.Message);
    }

    [Fact]
    public void A_login_in_the_address_is_sent_to_the_hub_and_never_shown()
    {
        var address = new UriBuilder(_hub.Server.Address) { UserName = "me", Password = "p%40ss" };
        HubOptions options = _hub.Options with { Endpoint = address.Uri };
        Assert.Equal(_hub.Snapshot, _hub.Open(options).Location);
        HubServer.Request[] ofHub = [.. _hub.Server.Requests.Where(request => !request.AtCdn)];
        Assert.NotEmpty(ofHub);
        Assert.All(ofHub, request => Assert.Equal("Basic bWU6cEBzcw==", request.Headers["authorization"]));
        Assert.All(_hub.Server.Requests.Where(request => request.AtCdn), request =>
            Assert.DoesNotContain("authorization", request.Headers.Keys)
        );

        _hub.Server.Change = (_, _) => HubServer.Empty(418);
        string told = _hub.Refusal(options with { Revision = "other" }).Message;
        Assert.Contains("418", told);
        Assert.DoesNotContain("p%40ss", told);
        Assert.DoesNotContain(
            "secret",
            Assert.Throws<ArgumentException>(() => HubSettings.From(options with { Endpoint = new Uri("ftp://me:secret@hub") })).Message
        );
    }

    [Fact]
    public void A_refusal_of_the_place_that_stores_the_content_blames_no_token()
    {
        _hub.Server.Change = (request, answer) => request.AtCdn ? HubServer.Empty(403) : answer;
        HubException refusal = _hub.Refusal(_hub.Options with { Token = "hf_secret" });
        Assert.Contains(_hub.Server.CdnAddress.Authority, refusal.Message);
        Assert.Contains("403", refusal.Message);
        Assert.DoesNotContain("HF_TOKEN", refusal.Message);
    }

    [Fact]
    public void Ten_redirections_are_followed_and_no_eleventh()
    {
        using var response = new HttpResponseMessage(HttpStatusCode.Found);
        response.Headers.Location = new Uri("/next", UriKind.Relative);
        var from = new Uri("https://hub.example/");
        Assert.Equal("https://hub.example/next", HubClient.Next(response, from, hops: 9).AbsoluteUri);
        Assert.Contains("more than 10 times", Assert.Throws<HubException>(() => HubClient.Next(response, from, hops: 10)).Message);
    }

    [Fact]
    public void A_file_is_not_fetched_by_another_protocol()
    {
        HubServer.Answer elsewhere = HubServer.Empty(302, ("Location", "ftp://127.0.0.1/x"));
        _hub.Server.Change = (request, answer) => request.Method == "GET" ? elsewhere : answer;
        Assert.Contains("redirects to ftp://127.0.0.1, which is not encrypted", _hub.Refusal().Message);
    }

    [Fact]
    public void A_busy_server_says_how_long_it_wants_to_be_left_alone()
    {
        static TimeSpan Asked(string? value)
        {
            using var response = new HttpResponseMessage(HttpStatusCode.TooManyRequests);
            if (value is not null)
                response.Headers.TryAddWithoutValidation("Retry-After", value);
            return HubAnswers.AskedWait(response);
        }
        Assert.Equal(TimeSpan.FromSeconds(17), Asked("17"));
        Assert.Equal(TimeSpan.FromMinutes(5), Asked("86400"));
        Assert.Equal(TimeSpan.Zero, Asked("Wed, 21 Oct 2015 07:28:00 GMT"));
        Assert.InRange(
            Asked(DateTimeOffset.UtcNow.AddMinutes(2).ToString("R", CultureInfo.InvariantCulture)),
            TimeSpan.FromSeconds(60),
            TimeSpan.FromSeconds(120)
        );
        Assert.Equal(TimeSpan.Zero, Asked("soon"));
        Assert.Equal(TimeSpan.Zero, Asked(null));

        _hub.ChangeFirst(1, _ => true, _ => HubServer.Empty(429, ("Retry-After", "0")));
        _hub.Open();
    }

    [Fact]
    public void Answers_at_random_are_read_or_refused_and_nothing_is_written_elsewhere()
    {
        int[] statuses = [200, 200, 200, 204, 206, 301, 302, 304, 307, 308, 400, 401, 403, 404, 416, 418, 429, 500, 503];
        string[] names =
        [
            "ETag",
            "X-Linked-Etag",
            "X-Linked-Size",
            "X-Repo-Commit",
            "Location",
            "X-Error-Code",
            "X-Error-Message",
            "Content-Encoding",
            "Content-Range",
            "Retry-After",
        ];
        string[] values =
        [
            "",
            "\"\"",
            "\"abc\"",
            "W/\"../x\"",
            "../../evil",
            HubServer.Commit,
            "0",
            "-1",
            "9223372036854775808",
            "1000000000000",
            "gzip",
            "bytes 5-2/1",
            "bytes */*",
            "/",
            "//127.0.0.1:1/x",
            "file:///etc/passwd",
            "http://[",
            "EntryNotFound",
            "GatedRepo",
            "a\u001bb",
        ];
        var random = new Random(7);
        int refused = 0;
        for (int i = 0; i < 300; i++)
        {
            int hit = random.Next(12),
                seed = random.Next();
            int seen = 0;
            _hub.Server.Change = (request, answer) =>
            {
                // Most responses are correct; otherwise no download would get far.
                if (Interlocked.Increment(ref seen) - 1 != hit)
                    return answer;
                var draw = new Random(seed);
                var headers = draw.Next(2) == 0 ? new Dictionary<string, string>(answer.Headers) : [];
                for (int n = draw.Next(4); n > 0; n--)
                    headers[names[draw.Next(names.Length)]] = values[draw.Next(values.Length)];
                byte[] body = draw.Next(2) == 0 ? answer.Body : answer.Body[..draw.Next(answer.Body.Length + 1)];
                return new HubServer.Answer(
                    draw.Next(3) == 0 ? statuses[draw.Next(statuses.Length)] : answer.Status,
                    body,
                    headers,
                    draw.Next(4) == 0 ? draw.Next(body.Length + 1) : null,
                    draw.Next(6) == 0 ? draw.Next(2000) : null
                );
            };
            using var cache = new TemporaryFolder();
            Directory.CreateDirectory(cache.File("cache"));
            Exception? thrown = Record.Exception(() =>
                _hub.Open(_hub.Options with { CacheFolder = cache.File("cache"), Retries = 0, Timeout = TimeSpan.FromSeconds(5) })
            );
            Assert.True(thrown is null or HubException or InvalidDataException, $"{i}: {thrown}");
            if (thrown is not null)
                refused++;
            Assert.Equal(["cache"], Directory.EnumerateFileSystemEntries(cache.FullPath).Select(Path.GetFileName));
            // Every blob stored under its final name matches its hash.
            foreach (
                string blob in Directory
                    .EnumerateFiles(cache.File("cache"), "*", SearchOption.AllDirectories)
                    .Where(path => Path.GetFileName(path) is { Length: 40 or 64 } name && name.All(char.IsAsciiHexDigitLower))
            )
                Assert.True(BlobHash.Check(blob, Path.GetFileName(blob), default));
        }
        Assert.InRange(refused, 20, 299);
    }

    [Theory]
    [InlineData("W/\"{0}\"")]
    [InlineData("{0}")] // without quotes, as some mirrors send it
    public void Other_forms_of_an_ETag_name_the_same_content(string form)
    {
        _hub.Server.Change = (_, answer) =>
            answer.Headers.TryGetValue("ETag", out string? etag) && answer.Headers.ContainsKey("X-Repo-Commit")
                ? answer with
                {
                    Headers = new(answer.Headers) { ["ETag"] = form.Replace("{0}", etag.Trim('"'), StringComparison.Ordinal) },
                }
                : answer;
        _hub.Open();
        Assert.Equal(_hub.Server.Files["vocab.json"], File.ReadAllBytes(_hub.Blob("vocab.json")));
    }

    [Fact]
    public void Small_files_come_by_way_of_the_address_that_the_hub_redirects_to()
    {
        _hub.Server.RedirectsSmallFiles = true;
        int cut = _hub.Server.Files["vocab.json"].Length / 2;
        _hub.ChangeFirst(
            1,
            r =>
                r.Method == "GET"
                && r.Path.StartsWith("/api/", StringComparison.Ordinal)
                && r.Path.Contains("/vocab.json?", StringComparison.Ordinal),
            a => a with { CutAfter = cut }
        );
        _hub.Open(_hub.Options with { Token = "hf_secret" });
        Assert.Equal(_hub.Server.Files["vocab.json"], File.ReadAllBytes(_hub.Blob("vocab.json")));
        HubServer.Request[] atCache =
        [
            .. _hub.Server.Requests.Where(r => r.Path.StartsWith("/api/resolve-cache/", StringComparison.Ordinal)),
        ];
        Assert.Contains(atCache, r => r.Headers.TryGetValue("range", out string? range) && range == $"bytes={cut}-");
        Assert.All(atCache, r => Assert.Equal("Bearer hf_secret", r.Headers["authorization"])); // the token is sent, as it is the same host
    }

    [Fact]
    public void Options_show_neither_a_token_nor_a_password()
    {
        var options = new HubOptions { Token = "hf_secret", Endpoint = new Uri("https://someone:password@hub.example/path") };
        string shown = $"{options}";
        Assert.DoesNotContain("secret", shown);
        Assert.DoesNotContain("password", shown);
        Assert.DoesNotContain("someone", shown);
        Assert.Contains("https://hub.example/path", shown);
        Assert.Contains("Revision = main", shown);
        Assert.Contains("Token = hidden", shown);
        Assert.Contains("Token = none", $"{new HubOptions()}");
    }
}
