using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Microsoft.ML.Dpl.Tests.Images;

namespace Microsoft.ML.Dpl.Tests.Samples;

/// <summary>The web application with clients that send slowly, too much or nonsense, and at shutdown.</summary>
public sealed class WebAppLoadTests(ServedImages served) : IClassFixture<ServedImages>
{
    private const int Piece = 100_000,
        CountedPiece = 64 << 10; // uploads are counted in pieces of this size

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
        await PostUntilAccepted(server);
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

    /// <summary>The memory of an image is given to other clients only when the forward pass that uses it is over, even if its own client
    /// has gone.</summary>
    [Fact]
    public async Task An_abandoned_image_is_counted_until_its_forward_pass_is_over()
    {
        // A small file of so many pixels that its forward pass takes a while.
        byte[] slow = ImageBytes.Png(6000, 6000, 1, ImageBytes.Grey, new byte[6000 / 8 * 6000]);
        await using WebServer server = await WebServer.StartReady(
            "--model",
            served.Zip,
            "--Classifier:MaxUploadMemoryBytes",
            $"{(slow.Length / CountedPiece + 1) * CountedPiece}",
            "--Classifier:BatchWaitMilliseconds",
            "0"
        );
        using (var gone = new CancellationTokenSource())
        {
            Task<HttpResponseMessage> abandoned = server.Client.PostAsync("predict", new ByteArrayContent(slow), gone.Token);
            await Task.WhenAny(abandoned, Task.Delay(150));
            gone.Cancel();
            await Task.WhenAny(abandoned);
        }
        while ((await server.Health()).Waiting > 0)
            await Task.Delay(5);

        Task next = PostUntilAccepted(server);
        while (!next.IsCompleted)
        {
            ServerHealth health = await server.Health();
            Assert.False(health is { Images: 0, Waiting: > 0 }, "An upload was accepted while all memory was in use.");
            await Task.Delay(5);
        }
        await next;
    }

    /// <summary>An image whose client has gone leaves the queue before a worker comes to it, and makes room for another.</summary>
    [Fact]
    public async Task An_abandoned_image_leaves_the_queue_at_once()
    {
        // The queue has one place, and its image waits a second for another one that never fits in.
        await using WebServer server = await WebServer.StartReady(
            "--model",
            served.Zip,
            "--Classifier:QueueLength",
            "1",
            "--Classifier:MaxBatch",
            "2",
            "--Classifier:BatchWaitMilliseconds",
            "1000"
        );
        var shortest = TimeSpan.MaxValue;
        // On a busy machine a client's end may be noticed late; a worker never comes within the second.
        for (int tries = 0; tries < 20 && shortest > TimeSpan.FromMilliseconds(900); tries++)
        {
            long began = Stopwatch.GetTimestamp();
            using var gone = new CancellationTokenSource();
            Task<HttpResponseMessage> abandoned = server.Client.PostAsync("predict", new ByteArrayContent(served.Images[0]), gone.Token);
            while ((await server.Health()).Waiting == 0 && !abandoned.IsCompleted)
                await Task.Delay(5);
            gone.Cancel();
            await Task.WhenAny(abandoned);
            while ((await server.Health()).Waiting > 0)
                await Task.Delay(5);
            TimeSpan took = Stopwatch.GetElapsedTime(began);
            if (abandoned.IsCanceled && took < shortest)
                shortest = took;
        }
        Assert.InRange(shortest, TimeSpan.Zero, TimeSpan.FromMilliseconds(900));
        using HttpResponseMessage other = await server.Client.PostAsync("predict", new ByteArrayContent(served.Images[1]));
        Assert.Equal(HttpStatusCode.OK, other.StatusCode);
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

    private async Task PostUntilAccepted(WebServer server)
    {
        for (int tries = 0; ; tries++)
        {
            using HttpResponseMessage response = await server.Client.PostAsync("predict", new ByteArrayContent(served.Images[0]));
            if (response.StatusCode == HttpStatusCode.OK)
                return;
            Assert.True(tries < 600, $"{response.StatusCode} though no upload is left.");
            await Task.Delay(50);
        }
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
