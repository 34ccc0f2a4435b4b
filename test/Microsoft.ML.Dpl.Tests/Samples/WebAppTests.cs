using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using SkiaSharp;

namespace Microsoft.ML.Dpl.Tests.Samples;

/// <summary>The web application over HTTP: correct answers under load, and clear error responses.</summary>
public sealed class WebAppTests(ServedImages served) : IClassFixture<ServedImages>
{
    private static readonly byte[] PngSignature = [0x89, .. "PNG\r\n\x1a\n"u8];

    [Fact]
    public async Task Sixty_four_clients_at_once_get_the_answers_of_a_prediction_engine()
    {
        await using WebServer server = await WebServer.StartReady("--model", served.Zip, "--Classifier:BatchWaitMilliseconds", "50");
        ServerAnswer[] answers = await Task.WhenAll(
            served.Images.Select(
                async (image, i) =>
                {
                    // One connection per image, alternating between raw bodies and forms.
                    using var client = new HttpClient { BaseAddress = server.Client.BaseAddress };
                    using HttpResponseMessage response = await client.PostAsync(
                        "predict",
                        i % 2 == 0 ? new ByteArrayContent(image) : Form(image, "image.png")
                    );
                    Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
                    return (await response.Content.ReadFromJsonAsync<ServerAnswer>())!;
                }
            )
        );
        foreach (var (answer, expected) in answers.Zip(served.Expected))
        {
            Assert.Equal(expected.PredictedLabel, answer.Class);
            Assert.Equal(answer.Classes.Select(c => c.Probability).OrderDescending(), answer.Classes.Select(c => c.Probability));
            Assert.InRange(answer.Classes.Sum(c => c.Probability), 1 - 1e-5, 1 + 1e-5);
            foreach (var (name, score) in served.ClassNames.Zip(expected.Score))
                Assert.Equal(score, answer.Classes.Single(c => c.Name == name).Probability, 1e-4);
        }
        ServerHealth health = await server.Health();
        Assert.Equal(64, health.Images);
        Assert.InRange(health.Batches, 4, 32);
    }

    [Fact]
    public async Task What_is_no_image_is_refused_and_the_server_stays_well()
    {
        await using WebServer server = await WebServer.StartReady("--model", served.Zip);
        byte[] huge = new byte[50 << 20],
            text = Encoding.UTF8.GetBytes("This is not an image."),
            cut = served.Images[0][..^200];
        PngSignature.CopyTo(huge, 0);
        Assert.InRange(Bomb().Length, 1, 200);
        foreach (
            var (content, status, sentence) in new (HttpContent, HttpStatusCode, string)[]
            {
                (new ByteArrayContent(huge), HttpStatusCode.RequestEntityTooLarge, "At most 10 MiB"),
                (Form(huge, "huge.png"), HttpStatusCode.RequestEntityTooLarge, "At most 10 MiB"),
                (new StreamContent(new LengthlessStream(huge)), HttpStatusCode.RequestEntityTooLarge, "At most 10 MiB"),
                (Form(text, "text.jpg", "image/jpeg"), HttpStatusCode.UnsupportedMediaType, "Send a PNG, JPEG"),
                (new ByteArrayContent(text), HttpStatusCode.UnsupportedMediaType, "Send a PNG, JPEG"),
                (new ByteArrayContent("RIFF"u8.ToArray()), HttpStatusCode.UnsupportedMediaType, "Send a PNG, JPEG"),
                (new ByteArrayContent("RIFF....WEB"u8.ToArray()), HttpStatusCode.UnsupportedMediaType, "Send a PNG, JPEG"),
                (new ByteArrayContent([]), HttpStatusCode.BadRequest, "Send an image file"),
                (Form([], "empty.png"), HttpStatusCode.BadRequest, "Send an image file"),
                (new MultipartFormDataContent { { new StringContent("x"), "field" } }, HttpStatusCode.BadRequest, "Send an image file"),
                (TwoFiles(), HttpStatusCode.BadRequest, "one image"),
                (Torn(), HttpStatusCode.BadRequest, "well-formed"),
                (new ByteArrayContent(Bomb()), HttpStatusCode.RequestEntityTooLarge, "50000 × 50000 pixels"),
                (Form(Bomb(), "bomb.png"), HttpStatusCode.RequestEntityTooLarge, "50000 × 50000 pixels"),
                (new ByteArrayContent(served.Images[0][..20]), HttpStatusCode.UnprocessableEntity, "damaged or cut short"),
                (new ByteArrayContent(cut), HttpStatusCode.UnprocessableEntity, "damaged or cut short"),
            }
        )
        {
            using HttpResponseMessage response = await server.Client.PostAsync("predict", content);
            await AssertProblem(response, status, sentence);
        }
        await AssertProblem(await server.Client.GetAsync("nothing"), HttpStatusCode.NotFound);
        await AssertProblem(await server.Client.GetAsync("examples/..%2Fmodel.zip"), HttpStatusCode.NotFound);
        await AssertProblem(await server.Client.GetAsync("predict"), HttpStatusCode.MethodNotAllowed);

        ServerHealth health = await server.Health();
        Assert.Equal(("ready", 0, 0L), (health.Status, health.Waiting, health.Images));
        using HttpResponseMessage good = await server.Client.PostAsync("predict", new ByteArrayContent(served.Images[0]));
        Assert.Equal(served.Expected[0].PredictedLabel, (await good.Content.ReadFromJsonAsync<ServerAnswer>())!.Class);
    }

    /// <summary>A broken image makes its batch fail; the other images of the batch are still answered.</summary>
    [Fact]
    public async Task A_broken_image_does_not_spoil_its_batch()
    {
        await using WebServer server = await WebServer.StartReady("--model", served.Zip, "--Classifier:BatchWaitMilliseconds", "300");
        HttpResponseMessage[] responses = await Task.WhenAll(
            Enumerable
                .Range(0, 8)
                .Select(i => server.Client.PostAsync("predict", new ByteArrayContent(i == 3 ? served.Images[i][..^200] : served.Images[i])))
        );
        await AssertProblem(responses[3], HttpStatusCode.UnprocessableEntity, "damaged or cut short");
        for (int i = 0; i < 8; i++)
            if (i != 3)
                Assert.Equal(served.Expected[i].PredictedLabel, (await responses[i].Content.ReadFromJsonAsync<ServerAnswer>())!.Class);
    }

    [Fact]
    public async Task A_full_queue_says_so_and_a_cancelled_image_is_passed_over()
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
        HttpResponseMessage[] responses = await Task.WhenAll(
            Enumerable.Range(0, 16).Select(i => server.Client.PostAsync("predict", new ByteArrayContent(served.Images[i])))
        );
        Assert.Contains(responses, r => r.StatusCode == HttpStatusCode.OK);
        HttpResponseMessage[] refused = [.. responses.Where(r => r.StatusCode != HttpStatusCode.OK)];
        Assert.NotEmpty(refused);
        foreach (HttpResponseMessage response in refused)
        {
            Assert.Equal(TimeSpan.FromSeconds(1), response.Headers.RetryAfter?.Delta);
            await AssertProblem(response, HttpStatusCode.ServiceUnavailable, "again in a second");
        }

        long before = (await server.Health()).Images;
        using var cancellationToken = new CancellationTokenSource();
        Task<HttpResponseMessage> cancelled = server.Client.PostAsync(
            "predict",
            new ByteArrayContent(served.Images[0]),
            cancellationToken.Token
        );
        while ((await server.Health()).Waiting == 0)
            await Task.Delay(5);
        cancellationToken.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        while ((await server.Health()).Waiting > 0)
            await Task.Delay(20);
        using HttpResponseMessage next = await server.Client.PostAsync("predict", new ByteArrayContent(served.Images[1]));
        Assert.Equal(HttpStatusCode.OK, next.StatusCode);
        Assert.Equal(before + 1, (await server.Health()).Images);
    }

    [Fact]
    public async Task A_heat_map_is_drawn_of_the_most_probable_class_or_of_one_asked_for()
    {
        await using WebServer server = await WebServer.StartReady("--model", served.Zip);
        async Task<ServerAnswer> Ask(string query)
        {
            using HttpResponseMessage response = await server.Client.PostAsync("predict" + query, new ByteArrayContent(served.Images[0]));
            Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
            return (await response.Content.ReadFromJsonAsync<ServerAnswer>())!;
        }
        Assert.Null((await Ask("")).HeatMap);
        ServerHeatMap first = (await Ask("?heatMap=true")).HeatMap!,
            other = (await Ask("?heatMap=true&heatMapClass=white")).HeatMap!;
        Assert.Equal((served.Expected[0].PredictedLabel, "white"), (first.Class, other.Class));
        foreach (ServerHeatMap map in new[] { first, other })
        {
            Assert.Equal(map.Rows * map.Columns, map.Relevance.Length);
            Assert.All(map.Relevance, value => Assert.InRange(value, 0, 1));
            using SKBitmap image = SKBitmap.Decode(Convert.FromBase64String(map.Image["data:image/webp;base64,".Length..]));
            Assert.Equal((96, 96), (image.Width, image.Height));
        }
        using HttpResponseMessage unknown = await server.Client.PostAsync(
            "predict?heatMap=true&heatMapClass=plaid",
            new ByteArrayContent(served.Images[0])
        );
        await AssertProblem(unknown, HttpStatusCode.BadRequest, "one of: red, orange");
        using HttpResponseMessage noBoolean = await server.Client.PostAsync(
            "predict?heatMap=perhaps",
            new ByteArrayContent(served.Images[0])
        );
        await AssertProblem(noBoolean, HttpStatusCode.BadRequest);
    }

    /// <summary>Files and images up to the limits are accepted; one byte or pixel more is refused, in whatever form it is sent.</summary>
    [Fact]
    public async Task The_limits_are_held_to_the_byte_and_to_the_pixel()
    {
        byte[] image = served.Images[0],
            longer = [.. image, 0];
        string[] limits = ["--Classifier:MaxUploadBytes", $"{image.Length}", "--Classifier:MaxPixels", $"{96 * 96}"];
        await using WebServer server = await WebServer.StartReady(["--model", served.Zip, .. limits]);
        Assert.Equal(image.Length, (await server.Health()).MaxUploadBytes);
        Func<byte[], HttpContent>[] ways =
        [
            bytes => new ByteArrayContent(bytes),
            bytes => Form(bytes, "image.png"),
            bytes => new StreamContent(new LengthlessStream(bytes)),
        ];
        foreach (Func<byte[], HttpContent> sent in ways)
        {
            using HttpResponseMessage taken = await server.Client.PostAsync("predict", sent(image));
            using HttpResponseMessage refused = await server.Client.PostAsync("predict", sent(longer));
            Assert.Equal(served.Expected[0].PredictedLabel, (await taken.Content.ReadFromJsonAsync<ServerAnswer>())!.Class);
            await AssertProblem(refused, HttpStatusCode.RequestEntityTooLarge, "Make the image smaller");
        }
        using HttpResponseMessage larger = await server.Client.PostAsync("predict", new ByteArrayContent(Bomb(13, 709)));
        Assert.Equal(96 * 96 + 1, 13 * 709);
        await AssertProblem(larger, HttpStatusCode.RequestEntityTooLarge, "13 × 709 pixels; at most 9,216");
    }

    [Fact]
    public async Task Every_answer_forbids_what_the_page_does_not_need()
    {
        await using WebServer server = await WebServer.StartReady("--model", served.Zip);
        foreach (string address in (string[])["", "index.html", "health", "openapi/v1.json", "nothing", "predict?heatMap=perhaps"])
        {
            using HttpResponseMessage response = address.StartsWith("predict", StringComparison.Ordinal)
                ? await server.Client.PostAsync(address, new ByteArrayContent([]))
                : await server.Client.GetAsync(address);
            Assert.Equal(["nosniff"], response.Headers.GetValues("X-Content-Type-Options"));
            Assert.False(response.Headers.Contains("Server"));
            string policy = Assert.Single(response.Headers.GetValues("Content-Security-Policy"));
            string[] expected =
            [
                "base-uri 'none'",
                "connect-src 'self'",
                "default-src 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
                "img-src 'self' blob: data:",
                "script-src 'self'",
                "style-src 'self'",
            ];
            Assert.Equal(expected, policy.Split(';', StringSplitOptions.TrimEntries).Order(StringComparer.Ordinal));
        }
    }

    [Fact]
    public async Task The_OpenAPI_document_tells_what_can_be_asked()
    {
        await using WebServer server = await WebServer.StartReady("--model", served.Zip);
        using JsonDocument document = JsonDocument.Parse(await server.Client.GetStringAsync("openapi/v1.json"));
        JsonElement paths = document.RootElement.GetProperty("paths"),
            predict = paths.GetProperty("/predict").GetProperty("post");
        Assert.True(paths.GetProperty("/health").TryGetProperty("get", out _));
        Assert.True(predict.GetProperty("requestBody").GetProperty("content").TryGetProperty("multipart/form-data", out _));
        foreach (string status in new[] { "200", "400", "413", "415", "422", "503" })
            Assert.True(predict.GetProperty("responses").TryGetProperty(status, out _), status);
    }

    private static MultipartFormDataContent Form(byte[] file, string name, string type = "application/octet-stream")
    {
        var content = new ByteArrayContent(file);
        content.Headers.ContentType = new MediaTypeHeaderValue(type);
        return new MultipartFormDataContent { { content, "image", name } };
    }

    private MultipartFormDataContent TwoFiles() =>
        new() { { new ByteArrayContent(served.Images[0]), "a", "a.png" }, { new ByteArrayContent(served.Images[1]), "b", "b.png" } };

    private static ByteArrayContent Torn()
    {
        var content = new ByteArrayContent("no boundary here"u8.ToArray());
        content.Headers.ContentType = MediaTypeHeaderValue.Parse("multipart/form-data; boundary=x");
        return content;
    }

    /// <summary>A well-formed PNG of a few bytes whose header claims the given size.</summary>
    private static byte[] Bomb(int width = 50_000, int height = 50_000)
    {
        byte[] header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9]) = (8, 2); // 8 bits, red, green and blue
        return [.. PngSignature, .. Chunk("IHDR"u8, header), .. Chunk("IDAT"u8, [0x78, 0x9C, 0x03, 0, 0, 0, 0, 1]), .. Chunk("IEND"u8, [])];
    }

    private static byte[] Chunk(ReadOnlySpan<byte> type, byte[] data)
    {
        byte[] chunk = [0, 0, 0, 0, .. type, .. data, 0, 0, 0, 0];
        BinaryPrimitives.WriteInt32BigEndian(chunk, data.Length);
        uint crc = uint.MaxValue;
        foreach (byte b in chunk.AsSpan(4, 4 + data.Length))
        {
            crc ^= b;
            for (int bit = 0; bit < 8; bit++)
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;
        }
        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(chunk.Length - 4), ~crc);
        return chunk;
    }

    private static async Task AssertProblem(HttpResponseMessage response, HttpStatusCode status, string sentence = "")
    {
        string body = await response.Content.ReadAsStringAsync();
        Assert.True(status == response.StatusCode, $"{response.StatusCode} instead of {status}: {body}");
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        using JsonDocument problem = JsonDocument.Parse(body);
        Assert.Equal((int)status, problem.RootElement.GetProperty("status").GetInt32());
        Assert.NotEmpty(problem.RootElement.GetProperty("title").GetString()!);
        if (sentence.Length > 0)
            Assert.Contains(sentence, problem.RootElement.GetProperty("detail").GetString());
    }

    /// <summary>A stream that is sent in chunks, because its length is unknown in advance.</summary>
    private sealed class LengthlessStream(byte[] bytes) : MemoryStream(bytes)
    {
        public override bool CanSeek => false;
    }
}
