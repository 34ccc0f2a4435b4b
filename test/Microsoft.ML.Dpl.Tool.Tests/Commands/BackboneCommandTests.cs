using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tests.Hub;

namespace Microsoft.ML.Dpl.Tool.Tests.Commands;

/// <summary><c>dpl backbone</c> as a process, with a hub on the loopback interface that serves the small CLIP.</summary>
public sealed class BackboneCommandTests : IDisposable
{
    private readonly TemporaryFolder _home = new();
    private readonly HubServer _hub = new();
    private readonly string _tiny = ClipBackbone.TinyDrawn.Location!;

    public BackboneCommandTests()
    {
        foreach (string path in Directory.GetFiles(_tiny))
            _hub.Files[Path.GetFileName(path)] = File.ReadAllBytes(path);
    }

    public void Dispose()
    {
        _hub.Dispose();
        _home.Dispose();
    }

    [Fact]
    public async Task Two_processes_share_one_download_that_is_then_listed_described_and_verified()
    {
        var both = await Task.WhenAll(
            Dpl("backbone", "download", HubServer.Repository),
            Dpl("backbone", "download", HubServer.Repository, "--json")
        );
        Assert.All(both, outcome => Assert.True(outcome.Code == 0, outcome.Error));
        Assert.Single(_hub.Requests, r => r.AtCdn);
        Assert.Equal(HubServer.Repository, JsonDocument.Parse(both[1].Output).RootElement.GetProperty("name").GetString());

        _hub.Dispose();
        var info = await Dpl("backbone", "info", HubServer.Repository, "--json");
        Assert.Equal((0, ""), (info.Code, info.Error));
        JsonElement described = JsonDocument.Parse(info.Output).RootElement;
        Assert.Equal(ClipBackbone.TinyDrawn.Sha256, described.GetProperty("sha256").GetString());
        Assert.Equal(
            ClipBackbone.TinyDrawn.Config.Image.Layers,
            described.GetProperty("shape").GetProperty("image").GetProperty("layers").GetInt32()
        );
        Assert.Equal(3, described.GetProperty("preprocessing").GetProperty("mean").GetArrayLength());

        var right = await Dpl("backbone", "verify", HubServer.Repository);
        Assert.Equal(0, right.Code);
        string blob = Path.Combine(_home.File("hub"), "models--someone--small-clip", "blobs", _hub.Etag("model.safetensors"));
        byte[] bytes = File.ReadAllBytes(blob);
        bytes[^1] ^= 1;
        File.WriteAllBytes(blob, bytes);
        var wrong = await Dpl("backbone", "verify", HubServer.Repository, "--json");
        Assert.Equal(2, wrong.Code);
        Assert.Contains("model.safetensors", wrong.Error);
        Assert.Single(JsonDocument.Parse(wrong.Output).RootElement.EnumerateArray(), check =>
            check.GetProperty("isValid").GetBoolean() is false
        );
    }

    [Fact]
    public async Task The_list_names_what_is_known_and_not_here()
    {
        string file = _home.File("list.json");
        var written = await Dpl("backbone", "list", "--json", file);
        Assert.Contains("ViT-B/16", written.Output);
        var list = await Dpl("backbone", "list", "--json", "-");
        Assert.Equal(list.Output, File.ReadAllText(file) + Environment.NewLine);
        Assert.Equal((0, ""), (list.Code, list.Error));
        JsonElement[] clips = [.. JsonDocument.Parse(list.Output).RootElement.EnumerateArray()];
        Assert.Equal(KnownClip.All.Select(known => known.Repository), clips.Select(clip => clip.GetProperty("repository").GetString()));
        Assert.All(clips, clip => Assert.Equal("no", clip.GetProperty("state").GetString()));
        Assert.Empty(_hub.Requests);
    }

    [Fact]
    public async Task What_cannot_be_had_ends_with_a_sentence_and_code_2()
    {
        var missing = await Dpl("backbone", "info", "someone/other");
        Assert.Equal(2, missing.Code);
        Assert.Contains("There is no file or folder 'someone/other' here", missing.Error);
        Assert.Contains("has no repository 'someone/other'", missing.Error);
        var verified = await Dpl("backbone", "verify", HubServer.Repository);
        Assert.Equal(2, verified.Code);
        Assert.Contains("the network is not used for this. Download it first with dpl backbone download.", verified.Error);
        Assert.DoesNotContain("OFFLINE", verified.Error);
    }

    [Fact]
    public void An_argument_is_a_file_a_folder_tiny_or_a_name()
    {
        var options = new HubOptions
        {
            CacheFolder = _home.File("hub"),
            Endpoint = _hub.Address,
            Token = "",
            Offline = false,
        };
        Assert.Equal(_tiny, BackboneArgument.Resolve("tiny-drawn").Location);
        Assert.Equal(_tiny, BackboneArgument.Resolve(_tiny).Location);
        Assert.Equal(HubServer.Repository, BackboneArgument.Resolve(HubServer.Repository, options).Name);
        _hub.Requests.Clear();
        foreach (string path in (string[])["./no/clip", "/no/clip", "clip", "a/b/c", "folder/clip.pt", "folder/"])
            Assert.Contains(
                $"There is no file or folder '{path}'",
                Assert.Throws<FileNotFoundException>(() => BackboneArgument.Resolve(path, options)).Message
            );
        Assert.Empty(_hub.Requests);
    }

    private async Task<(int Code, string Output, string Error)> Dpl(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "dpl.dll"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        start.Environment["HF_HOME"] = _home.FullPath;
        start.Environment["HF_ENDPOINT"] = _hub.Address.AbsoluteUri;
        foreach (string name in (string[])["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE", "HF_TOKEN_PATH"])
            start.Environment.Remove(name);
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(),
            error = process.StandardError.ReadToEndAsync();
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"dpl {string.Join(' ', arguments)} ran longer than two minutes.");
        }
        return (process.ExitCode, await output, await error);
    }
}
