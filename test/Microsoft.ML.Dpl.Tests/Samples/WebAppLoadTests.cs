using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;

namespace Microsoft.ML.Dpl.Tests.Samples;

/// <summary>The web application with clients that send slowly, too much or nonsense, and at shutdown.</summary>
public sealed class WebAppLoadTests(ServedImages served) : IClassFixture<ServedImages>
{
    private const int Piece = 100_000;

    /// <summary>Bytes received from slow clients are counted as they arrive, and released when the clients disconnect.</summary>
    [Fact]
    public async Task Slow_uploads_together_hold_no_more_than_is_allowed()
    {
        const int allowed = 1 << 20;
        await using WebServer server = await WebServer.StartReady([
            "--model",
            served.Zip,
            "--Classifier:MaxUploadMemoryBytes",
            $"{allowed}",
        ]);
        var clients = new List<TcpClient>();
        try
        {
            int refused = 0;
            for (int i = 0; i < 20; i++)
            {
                TcpClient client = await Connect(server);
                clients.Add(client);
                await client.GetStream().WriteAsync(Head(contentLength: 9_500_000));
                await client.GetStream().WriteAsync(new byte[Piece]);
                // A refused client is answered at once; an accepted one gets no answer before the timeout.
                if (await Answer(client, TimeSpan.FromMilliseconds(i < 8 ? 100 : 300)) is { } answer)
                {
                    Assert.Contains("HTTP/1.1 503", answer);
                    Assert.Contains("Too many images are being sent", answer);
                    refused++;
                }
            }
            // Each of the other clients holds two pieces of 64 KiB; 16 pieces are allowed in total.
            Assert.Equal(12, refused);
            using HttpResponseMessage busy = await server.Client.PostAsync("predict", new ByteArrayContent(served.Images[0]));
            Assert.Equal(HttpStatusCode.ServiceUnavailable, busy.StatusCode);
            Assert.Equal(TimeSpan.FromSeconds(5), busy.Headers.RetryAfter?.Delta);
        }
        finally
        {
            clients.ForEach(client => client.Dispose());
        }
        for (int tries = 0; ; tries++)
        {
            using HttpResponseMessage free = await server.Client.PostAsync("predict", new ByteArrayContent(served.Images[0]));
            if (free.StatusCode == HttpStatusCode.OK)
                break;
            Assert.True(tries < 100, $"{free.StatusCode} though no upload is left.");
            await Task.Delay(50);
        }
    }

    [Fact]
    public async Task An_upload_that_takes_too_long_is_ended()
    {
        await using WebServer server = await WebServer.StartReady(["--model", served.Zip, "--Classifier:MaxUploadSeconds", "1"]);
        using TcpClient client = await Connect(server);
        await client.GetStream().WriteAsync(Head(contentLength: 9_500_000));
        await client.GetStream().WriteAsync(new byte[Piece]);
        string answer = await Answer(client, TimeSpan.FromSeconds(30)) ?? "";
        Assert.Contains("HTTP/1.1 408", answer);
        Assert.Contains("within 1 seconds", answer);
    }

    [Fact]
    public async Task Connections_beyond_those_allowed_are_closed()
    {
        await using WebServer server = await WebServer.StartReady(["--model", served.Zip, "--Classifier:MaxConnections", "3"]);
        // The test's own HttpClient holds one of the three connections.
        using TcpClient first = await Connect(server),
            second = await Connect(server),
            third = await Connect(server);
        byte[] health = Encoding.ASCII.GetBytes("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
        foreach (TcpClient client in new[] { first, second })
        {
            await client.GetStream().WriteAsync(health);
            Assert.StartsWith("HTTP/1.1 200", await Answer(client, TimeSpan.FromSeconds(30)));
        }
        Assert.Equal("", await Answer(third, TimeSpan.FromSeconds(30)));
    }

    [Theory]
    [InlineData(129)]
    [InlineData(5000)]
    public async Task A_boundary_that_no_form_has_is_the_clients_mistake(int length)
    {
        await using WebServer server = await WebServer.StartReady("--model", served.Zip);
        var content = new ByteArrayContent(served.Images[0]);
        content.Headers.ContentType = MediaTypeHeaderValue.Parse($"multipart/form-data; boundary={new string('b', length)}");
        using HttpResponseMessage response = await server.Client.PostAsync("predict", content);
        string body = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.BadRequest, body);
        Assert.Contains("well-formed", body);
    }

    /// <summary>Ends the server while it draws its images, and while it trains.</summary>
    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Asked_to_end_while_it_prepares_its_demo_it_ends_within_five_seconds(bool trains)
    {
        Skip.If(OperatingSystem.IsWindows(), "there is no SIGTERM");
        using var folder = new TemporaryFolder();
        await using WebServer server = await WebServer.Start("--Classifier:DemoFolder", folder.FullPath);
        for (int tries = 0; trains && (await server.Health()).Progress is null; tries++)
        {
            Assert.True(tries < 1200, server.Log);
            await Task.Delay(50);
        }
        var (took, code) = await server.Terminate();
        Assert.InRange(took, TimeSpan.Zero, TimeSpan.FromSeconds(5));
        Assert.Equal(0, code);
        Assert.False(File.Exists(folder.File("drawn/model.zip")));
    }

    private static byte[] Head(int contentLength) =>
        Encoding.ASCII.GetBytes($"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {contentLength}\r\n\r\n");

    private static async Task<TcpClient> Connect(WebServer server)
    {
        var client = new TcpClient();
        await client.ConnectAsync(server.Client.BaseAddress!.Host, server.Client.BaseAddress.Port);
        return client;
    }

    /// <summary>The server's response within a time limit; empty if it closes the connection, null if it sends nothing.</summary>
    private static async Task<string?> Answer(TcpClient client, TimeSpan within)
    {
        using var time = new CancellationTokenSource(within);
        var heard = new StringBuilder();
        byte[] buffer = new byte[4096];
        try
        {
            while (true)
            {
                int read = await client.GetStream().ReadAsync(buffer, time.Token);
                heard.Append(Encoding.UTF8.GetString(buffer.AsSpan(0, read)));
                if (read == 0 || heard.ToString().Contains('}', StringComparison.Ordinal))
                    return heard.ToString();
            }
        }
        catch (IOException)
        {
            return heard.ToString();
        }
        catch (OperationCanceledException)
        {
            return heard.Length > 0 ? heard.ToString() : null;
        }
    }
}
