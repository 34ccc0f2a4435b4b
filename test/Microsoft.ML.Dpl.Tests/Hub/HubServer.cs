using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Dpl.Tests.Hub;

/// <summary>
/// A hub on the loopback interface that responds as Hugging Face's does: it sends small files directly, with git's hash, and large ones by
/// a redirection to another address (the "CDN", on another port), with SHA-256. A test can change any response, and send invalid ones.
/// </summary>
internal sealed class HubServer : IDisposable
{
    public const string Repository = "someone/small-clip",
        Commit = "0123456789abcdef0123456789abcdef01234567";

    private readonly TcpListener _hub = new(IPAddress.Loopback, 0),
        _cdn = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();

    public HubServer()
    {
        foreach (TcpListener listener in (TcpListener[])[_hub, _cdn])
        {
            listener.Start();
            _ = AcceptAsync(listener);
        }
    }

    /// <param name="Method">GET or HEAD.</param>
    /// <param name="Path">The path, with the leading slash.</param>
    /// <param name="Headers">The headers by lower-case name.</param>
    /// <param name="AtCdn">Whether the request was sent to the CDN's address rather than the hub's.</param>
    public sealed record Request(string Method, string Path, IReadOnlyDictionary<string, string> Headers, bool AtCdn);

    /// <param name="Status">The status code.</param>
    /// <param name="Body">The body, which is sent for GET only.</param>
    /// <param name="Headers">The headers besides Content-Length.</param>
    /// <param name="CutAfter">The number of bytes of the body after which the connection is closed.</param>
    /// <param name="SaidLength">The value of Content-Length; -1: none is sent, and the end of the connection ends the body.</param>
    public sealed record Answer(int Status, byte[] Body, Dictionary<string, string> Headers, int? CutAfter = null, long? SaidLength = null);

    /// <summary>The files of <see cref="Repository"/> by name.</summary>
    public ConcurrentDictionary<string, byte[]> Files { get; } = new();

    /// <summary>Changes or replaces a response before it is sent.</summary>
    public Func<Request, Answer, Answer> Change { get; set; } = (_, answer) => answer;

    /// <summary>Whether small files are redirected to an address that contains their commit, as by huggingface.co since 2025.</summary>
    public bool RedirectsSmallFiles { get; set; }

    public ConcurrentQueue<Request> Requests { get; } = new();

    public Uri Address => new($"http://{_hub.LocalEndpoint}");

    public Uri CdnAddress => new($"http://{_cdn.LocalEndpoint}");

    public IEnumerable<Request> Gets(string file) =>
        Requests.Where(r => r.Method == "GET" && (r.Path.EndsWith("/" + file, StringComparison.Ordinal) || r.Path == "/" + Etag(file)));

    /// <summary>The hub's ETag of a file: SHA-256 for large files, git's hash for small ones.</summary>
    public string Etag(string file) =>
        Files.TryGetValue(file, out byte[]? bytes)
            ? IsLarge(file)
                ? Sha256(bytes)
                : GitHash(bytes)
            : "";

    public static string Sha256(byte[] bytes) => Convert.ToHexString(SHA256.HashData(bytes)).ToLowerInvariant();

    public static string GitHash(byte[] bytes) =>
        Convert
            .ToHexString(
                SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {bytes.Length.ToString(CultureInfo.InvariantCulture)}\0"), .. bytes])
            )
            .ToLowerInvariant();

    /// <summary>A response without a body.</summary>
    public static Answer Empty(int status, params (string Name, string Value)[] headers) =>
        new(status, [], headers.ToDictionary(h => h.Name, h => h.Value));

    public void Dispose()
    {
        _end.Cancel();
        _hub.Dispose();
        _cdn.Dispose();
    }

    private static bool IsLarge(string file) =>
        file.EndsWith(".safetensors", StringComparison.Ordinal) || file.EndsWith(".bin", StringComparison.Ordinal);

    private async Task AcceptAsync(TcpListener listener)
    {
        try
        {
            while (true)
                _ = ServeAsync(await listener.AcceptTcpClientAsync(_end.Token), listener == _cdn);
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            return; // disposed
        }
    }

    private async Task ServeAsync(TcpClient client, bool atCdn)
    {
        try
        {
            using (client)
            using (NetworkStream stream = client.GetStream())
            using (var reader = new StreamReader(stream, Encoding.ASCII))
            {
                if (await reader.ReadLineAsync(_end.Token) is not { } first)
                    return;
                var headers = new Dictionary<string, string>();
                while (await reader.ReadLineAsync(_end.Token) is { Length: > 0 } line)
                    headers[line[..line.IndexOf(':')].ToLowerInvariant()] = line[(line.IndexOf(':') + 1)..].Trim();
                string[] parts = first.Split(' ');
                var request = new Request(parts[0], parts[1], headers, atCdn);
                Requests.Enqueue(request);
                await SendAsync(stream, request, Change(request, atCdn ? AnswerOfCdn(request) : AnswerOfHub(request)));
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or SocketException)
        {
            return; // the client closed the connection
        }
    }

    private async Task SendAsync(Stream stream, Request request, Answer answer)
    {
        var head = new StringBuilder($"HTTP/1.1 {answer.Status} Answer\r\nConnection: close\r\n");
        if (answer.SaidLength != -1)
            head.Append(CultureInfo.InvariantCulture, $"Content-Length: {answer.SaidLength ?? answer.Body.Length}\r\n");
        foreach (var (name, value) in answer.Headers)
            head.Append(CultureInfo.InvariantCulture, $"{name}: {value}\r\n");
        await stream.WriteAsync(Encoding.ASCII.GetBytes(head.Append("\r\n").ToString()), _end.Token);
        if (request.Method == "GET")
            await stream.WriteAsync(answer.Body.AsMemory(0, answer.CutAfter ?? answer.Body.Length), _end.Token);
        await stream.FlushAsync(_end.Token);
    }

    private Answer AnswerOfHub(Request request)
    {
        string[] path = request.Path.Split('?')[0].TrimStart('/').Split('/');
        bool redirected = path is ["api", "resolve-cache", "models", ..];
        if (redirected)
            path = [.. path[3..5], "resolve", .. path[5..]];
        if (path.Length < 5 || $"{path[0]}/{path[1]}" != Repository)
            return Empty(404, ("X-Error-Code", "RepoNotFound"));
        if (Uri.UnescapeDataString(path[3]) is not ("main" or "refs/pr/1" or Commit))
            return Empty(404, ("X-Error-Code", "RevisionNotFound"));
        string file = string.Join('/', path[4..]);
        if (!Files.TryGetValue(file, out byte[]? bytes))
            return Empty(404, ("X-Error-Code", "EntryNotFound"), ("X-Repo-Commit", Commit));
        if (IsLarge(file))
        {
            return Empty(
                302,
                ("X-Repo-Commit", Commit),
                ("X-Linked-Etag", $"\"{Etag(file)}\""),
                ("X-Linked-Size", bytes.Length.ToString(CultureInfo.InvariantCulture)),
                ("Location", new Uri(CdnAddress, Etag(file)).AbsoluteUri)
            );
        }
        return RedirectsSmallFiles && !redirected
            ? new Answer(
                307,
                "Temporary Redirect. Redirecting to /api/resolve-cache/…"u8.ToArray(),
                new()
                {
                    ["Location"] =
                        $"/api/resolve-cache/models/{Repository}/{Commit}/{file}"
                        + $"?%2F{Repository.Replace("/", "%2F", StringComparison.Ordinal)}%2Fresolve%2Fmain%2F{file}=&"
                        + $"etag=%22{Etag(file)}%22",
                }
            )
            : Content(request, bytes, ("X-Repo-Commit", Commit), ("ETag", $"\"{Etag(file)}\""));
    }

    private Answer AnswerOfCdn(Request request)
    {
        byte[]? bytes = Files.Where(f => IsLarge(f.Key) && Sha256(f.Value) == request.Path[1..]).Select(f => f.Value).FirstOrDefault();
        return bytes is null ? Empty(404) : Content(request, bytes, ("ETag", "\"an-etag-of-the-cdn\""));
    }

    private static Answer Content(Request request, byte[] bytes, params (string Name, string Value)[] headers)
    {
        if (request.Method != "GET" || !request.Headers.TryGetValue("range", out string? range))
            return new Answer(200, bytes, headers.ToDictionary(h => h.Name, h => h.Value));
        int from = int.Parse(range["bytes=".Length..].TrimEnd('-'), CultureInfo.InvariantCulture);
        return new Answer(
            206,
            bytes[from..],
            headers.Append(("Content-Range", $"bytes {from}-{bytes.Length - 1}/{bytes.Length}")).ToDictionary(h => h.Item1, h => h.Item2)
        );
    }
}
