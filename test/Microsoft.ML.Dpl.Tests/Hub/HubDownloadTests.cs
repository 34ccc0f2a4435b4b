using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.Clip;
using Microsoft.ML.Dpl.Tests.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Hub;

/// <summary>A CLIP is downloaded by name, completely or not at all, whatever the network does.</summary>
public sealed class HubDownloadTests : IDisposable
{
    private readonly HubFixture _hub = new();

    public void Dispose() => _hub.Dispose();

    [Fact]
    public void A_model_is_downloaded_into_the_layout_of_Pythons_tools()
    {
        _hub.Server.Files["README.md"] = [1];
        _hub.Server.Files["pytorch_model.bin"] = [2];
        ClipBackbone backbone = _hub.Open();

        Assert.Equal((HubServer.Repository, _hub.Snapshot), (backbone.Name, backbone.Location));
        Assert.Equal(ClipBackbone.FromFolder(_hub.ModelFolder).Sha256, backbone.Sha256);
        Assert.Equal(HubServer.Commit, File.ReadAllText(Path.Combine(_hub.RepositoryFolder, "refs", "main")));
        string[] files = ["config.json", "merges.txt", "model.safetensors", "vocab.json"];
        Assert.Equal(files, Directory.GetFiles(_hub.Snapshot).Select(Path.GetFileName).Order());
        foreach (string file in files)
        {
            Assert.Equal(_hub.Server.Files[file], File.ReadAllBytes(_hub.Blob(file)));
            if (!OperatingSystem.IsWindows())
                Assert.Equal($"../../blobs/{_hub.Server.Etag(file)}", new FileInfo(Path.Combine(_hub.Snapshot, file)).LinkTarget);
        }
        Assert.DoesNotContain(_hub.Server.Requests, r =>
            r.Method == "GET"
            && (r.Path.EndsWith("README.md", StringComparison.Ordinal) || r.Path.EndsWith(".bin", StringComparison.Ordinal))
        );
        using Lease<ImageWeights> vision = backbone.RentImageTower(CPU);
        Assert.Equal(backbone.Config.Image.Layers, vision.Value.Blocks.Count);
    }

    [Fact]
    public void Weights_in_several_files_come_whole()
    {
        _hub.Server.Files.TryRemove(HubFixture.Weights, out _);
        using var folder = new TemporaryFolder();
        HuggingFaceFolder.WriteGolden(folder.FullPath, isSharded: true);
        foreach (string path in Directory.GetFiles(folder.FullPath))
            _hub.Server.Files[Path.GetFileName(path)] = File.ReadAllBytes(path);
        ClipBackbone backbone = _hub.Open();
        Assert.Equal(
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
            backbone.Files!.Weights.Select(file => Path.GetFileName(file.FullPath))
        );
        using Lease<ImageWeights> vision = backbone.RentImageTower(CPU);
        Assert.Equal(4, vision.Value.Blocks.Count);
    }

    [Fact]
    public void What_is_here_is_not_downloaded_again_and_is_found_offline()
    {
        _hub.Open();
        _hub.Server.Requests.Clear();
        _hub.Open();
        Assert.All(_hub.Server.Requests, r => Assert.Equal("HEAD", r.Method));

        _hub.Server.Requests.Clear();
        Assert.Equal(_hub.Snapshot, _hub.Open(_hub.Options with { Offline = true }).Location);
        Assert.Equal(_hub.Snapshot, _hub.Open(_hub.Options with { Revision = HubServer.Commit }).Location);
        Assert.Equal(_hub.Snapshot, ClipHub.GetCachedFolder(HubServer.Repository, _hub.Options));
        Assert.Empty(_hub.Server.Requests);
    }

    [Fact]
    public void A_revision_with_a_slash_is_kept_under_its_name()
    {
        _hub.Open(_hub.Options with { Revision = "refs/pr/1" });
        Assert.Contains(_hub.Server.Requests, r => r.Path.Contains("/resolve/refs%2Fpr%2F1/", StringComparison.Ordinal));
        Assert.Equal(HubServer.Commit, File.ReadAllText(Path.Combine(_hub.RepositoryFolder, "refs", "refs", "pr", "1")));
    }

    [Fact]
    public void A_repository_as_OpenAI_published_it_gives_its_pytorch_model_bin()
    {
        // openai/clip-vit-base-patch16 has no safetensors on its main branch.
        ClipBackbone before = ClipBackbone.FromFolder(_hub.ModelFolder);
        _hub.Server.Files.TryRemove(HubFixture.Weights, out byte[]? safetensors);
        using (NewDisposeScope())
        using (var file = SafetensorsFile.FromBytes(safetensors!, HubFixture.Weights))
            _hub.Server.Files["pytorch_model.bin"] = TorchZip.StateDictionary(
                file.Entries.Keys.Select(name => KeyValuePair.Create(name, file.Read(name)))
            );
        string[] others =
        [
            "README.md",
            "flax_model.msgpack",
            "tf_model.h5",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
        ];
        foreach (string other in others)
            _hub.Server.Files[other] = [1];
        ClipBackbone backbone = _hub.Open();
        Assert.Equal(before.Config, backbone.Config);
        Assert.Equal("pytorch_model.bin", Path.GetFileName(backbone.FilePaths[0]));
        Assert.Equal(
            ["config.json", "merges.txt", "pytorch_model.bin", "vocab.json"],
            Directory.GetFiles(_hub.Snapshot).Select(Path.GetFileName).Order(StringComparer.Ordinal)
        );
        using Lease<TextWeights> one = before.RentTextTower(CPU),
            after = backbone.RentTextTower(CPU);
        foreach (var (a, b) in one.Value.Tensors.Zip(after.Value.Tensors))
            Assert.True(a.bytes.SequenceEqual(b.bytes));
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("vocab.json")]
    public void A_download_that_breaks_off_goes_on_where_it_ended(string file)
    {
        int length = _hub.Server.Files[file].Length;
        int cut = length / 3;
        // More interruptions than retries: progress resets the retry count.
        _hub.ChangeFirst(3, r => r.Method == "GET" && IsContent(r, file), a => a with { CutAfter = Math.Min(cut, a.Body.Length / 2) });
        _hub.Open(_hub.Options with { Retries = 1 });
        Assert.Equal(_hub.Server.Files[file], File.ReadAllBytes(_hub.Blob(file)));
        HubServer.Request[] contents = [.. _hub.Server.Requests.Where(r => r.Method == "GET" && IsContent(r, file))];
        Assert.Equal(4, contents.Length);
        Assert.Equal($"bytes={cut}-", contents[1].Headers["range"]);
        // If-Range is sent to the hub only: its ETag is the blob's name, which a CDN would not know.
        Assert.Equal(file == "vocab.json", contents[1].Headers.ContainsKey("if-range"));
    }

    [Fact]
    public void A_cancelled_download_is_continued_by_the_next_call()
    {
        using var cancellationToken = new CancellationTokenSource();
        int half = _hub.Server.Files[HubFixture.Weights].Length / 2;
        using var served = new ManualResetEventSlim();
        _hub.Server.Change = (request, answer) =>
        {
            if (!request.AtCdn)
                return answer;
            if (!served.IsSet)
            {
                served.Set();
                return answer with { CutAfter = half };
            }
            cancellationToken.Cancel();
            return answer with { CutAfter = 0 };
        };
        Assert.ThrowsAny<OperationCanceledException>(() =>
            ClipBackbone.FromPretrained(HubServer.Repository, _hub.Options with { Retries = 100 }, cancellationToken.Token)
        );
        Assert.Equal(half, new FileInfo(_hub.Blob(HubFixture.Weights) + ".incomplete").Length);
        Assert.False(File.Exists(Path.Combine(_hub.RepositoryFolder, "refs", "main")));

        _hub.Server.Change = (_, answer) => answer;
        _hub.Server.Requests.Clear();
        _hub.Open();
        Assert.Equal($"bytes={half}-", Assert.Single(_hub.Server.Requests, r => r.AtCdn).Headers["range"]);
    }

    [Fact]
    public void A_server_that_ignores_ranges_is_read_from_the_beginning()
    {
        Leave(new byte[1000]);
        _hub.Server.Change = (request, answer) =>
            request.AtCdn ? new HubServer.Answer(200, _hub.Server.Files[HubFixture.Weights], []) : answer;
        _hub.Open();
        Assert.Equal(_hub.Server.Files[HubFixture.Weights], File.ReadAllBytes(_hub.Blob(HubFixture.Weights)));
    }

    [Fact]
    public void A_wrong_beginning_left_by_an_earlier_run_is_noticed_and_fetched_again()
    {
        Leave(new byte[1000]);
        _hub.Open();
        Assert.Equal(_hub.Server.Files[HubFixture.Weights], File.ReadAllBytes(_hub.Blob(HubFixture.Weights)));
        Assert.Equal(2, _hub.Server.Requests.Count(r => r.AtCdn));
    }

    [Fact]
    public void A_beginning_that_is_too_long_is_thrown_away()
    {
        Leave(new byte[_hub.Server.Files[HubFixture.Weights].Length + 1]);
        _hub.Open();
        Assert.Equal(_hub.Server.Files[HubFixture.Weights], File.ReadAllBytes(_hub.Blob(HubFixture.Weights)));
    }

    [Theory]
    [InlineData(200, null)] // the login page of a captive portal
    [InlineData(206, "bytes 0-37/38")]
    public void What_arrived_is_not_thrown_away_for_an_answer_that_is_not_the_file(int status, string? range)
    {
        byte[] weights = _hub.Server.Files[HubFixture.Weights];
        Leave(weights[..1000]);
        _hub.Server.Change = (request, answer) =>
            request.AtCdn
                ? new HubServer.Answer(
                    status,
                    "<html>log in to go on, please</html>  \n"u8.ToArray(),
                    range is null ? [] : new() { ["Content-Range"] = range }
                )
                : answer;
        Assert.Equal(HubFailure.BadAnswer, _hub.Refusal().Failure);
        Assert.Equal(weights[..1000], File.ReadAllBytes(_hub.Blob(HubFixture.Weights) + ".incomplete"));

        _hub.Server.Change = (_, answer) => answer;
        _hub.Server.Requests.Clear();
        _hub.Open();
        Assert.Equal("bytes=1000-", Assert.Single(_hub.Server.Requests, r => r.AtCdn).Headers["range"]);
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("merges.txt")]
    public void Changed_bytes_are_refused_and_nothing_of_them_is_kept(string file)
    {
        _hub.Server.Change = (request, answer) =>
        {
            if (request.Method != "GET" || !IsContent(request, file))
                return answer;
            byte[] changed = [.. answer.Body];
            changed[^1] ^= 1;
            return answer with { Body = changed };
        };
        HubException refusal = _hub.Refusal();
        Assert.Equal(HubFailure.Damaged, refusal.Failure);
        Assert.Contains($"'{file}' of '{HubServer.Repository}'", refusal.Message);
        Assert.False(
            File.Exists(_hub.Blob(file)) || File.Exists(_hub.Blob(file) + ".incomplete") || File.Exists(Path.Combine(_hub.Snapshot, file))
        );
        Assert.Null(ClipHub.GetCachedFolder(HubServer.Repository, _hub.Options));
    }

    [Theory]
    [InlineData(1, -1L)] // one byte too many, without a Content-Length
    [InlineData(1, null)] // one byte too many, with a matching Content-Length
    [InlineData(-1, null)] // one byte too few, with a matching Content-Length
    public void A_length_other_than_the_hubs_is_refused(int more, long? said)
    {
        _hub.Server.Change = (request, answer) =>
            request.AtCdn
                ? answer with
                {
                    Body = [.. answer.Body.Take(answer.Body.Length + more), .. new byte[Math.Max(0, more)]],
                    SaidLength = said,
                }
                : answer;
        HubException refusal = _hub.Refusal();
        Assert.Equal(HubFailure.BadAnswer, refusal.Failure);
        Assert.False(File.Exists(_hub.Blob(HubFixture.Weights)));
    }

    [Fact]
    public void The_progress_of_every_file_ends_with_its_length()
    {
        var seen = new List<HubProgress>();
        _hub.ChangeFirst(1, r => r.AtCdn, a => a with { CutAfter = 100 });
        _hub.Open(_hub.Options with { Progress = new Recorder(seen) });
        foreach (var file in seen.GroupBy(p => p.File))
        {
            Assert.Equal(_hub.Server.Files[file.Key].Length, file.Last().Bytes);
            Assert.All(file, p => Assert.Equal(_hub.Server.Files[file.Key].Length, p.TotalBytes));
            Assert.Equal(file.Select(p => p.Bytes).Order(), file.Select(p => p.Bytes));
        }
        Assert.Contains(seen, p => p.File == HubFixture.Weights);
    }

    [Fact]
    public void Many_callers_at_once_share_one_download()
    {
        ClipBackbone[] backbones = [.. Enumerable.Range(0, 6).AsParallel().WithDegreeOfParallelism(6).Select(_ => _hub.Open())];
        Assert.All(backbones, b => Assert.Equal(_hub.Snapshot, b.Location));
        Assert.Single(_hub.Server.Requests, r => r.AtCdn);
        Assert.Equal(4, Directory.GetFiles(Path.Combine(_hub.RepositoryFolder, "blobs")).Length);
    }

    [Fact]
    public async Task Where_links_cannot_be_made_many_callers_share_one_download_too()
    {
        HubSettings settings = HubSettings.From(_hub.Options);
        using var client = new HubClient(settings);
        var cache = new HubCache(_hub.CacheFolder, HubServer.Repository, (_, _) => throw new IOException("no privilege"));
        var (file, _) = await client.FindAsync(HubServer.Repository, "main", HubFixture.Weights, default);
        string[] paths = await Task.WhenAll(
            Enumerable.Range(0, 6).Select(_ => Task.Run(() => new BlobDownload(client, cache, _hub.Options).FetchAsync(file!, default)))
        );
        Assert.All(paths, path => Assert.Equal(Path.Combine(_hub.Snapshot, HubFixture.Weights), path));
        Assert.Equal(_hub.Server.Files[HubFixture.Weights], File.ReadAllBytes(paths[0]));
        Assert.Single(_hub.Server.Requests, r => r.AtCdn);
        Assert.Empty(Directory.GetFiles(cache.BlobFolder));
    }

    [Fact]
    public void A_file_in_the_cache_of_another_length_is_replaced()
    {
        Directory.CreateDirectory(_hub.Snapshot);
        string path = Path.Combine(_hub.Snapshot, "vocab.json");
        File.WriteAllText(path, "{");
        _hub.Open();
        Assert.Equal(_hub.Server.Files["vocab.json"], File.ReadAllBytes(path));
    }

    [Fact]
    public void A_lock_whose_holder_does_not_get_on_is_given_up_and_one_left_behind_blocks_nobody()
    {
        string path = Path.Combine(
            _hub.CacheFolder,
            ".locks",
            "models--someone--small-clip",
            _hub.Server.Etag(HubFixture.Weights) + ".lock"
        );
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using (new FileStream(path, FileMode.Create, FileAccess.ReadWrite, FileShare.None))
        {
            HubException refusal = _hub.Refusal(_hub.Options with { LockTimeout = TimeSpan.FromMilliseconds(200) });
            Assert.Equal(HubFailure.Locked, refusal.Failure);
            Assert.Contains(path, refusal.Message);
        }
        Assert.True(File.Exists(path));
        _hub.Open();
    }

    private bool IsContent(HubServer.Request request, string file) =>
        request.AtCdn
            ? request.Path == "/" + _hub.Server.Etag(file)
            : request.Path.EndsWith("/" + file, StringComparison.Ordinal) && !file.EndsWith(".safetensors", StringComparison.Ordinal);

    private void Leave(byte[] begun)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_hub.Blob(HubFixture.Weights))!);
        File.WriteAllBytes(_hub.Blob(HubFixture.Weights) + ".incomplete", begun);
    }

    private sealed class Recorder(List<HubProgress> seen) : IProgress<HubProgress>
    {
        public void Report(HubProgress value) => seen.Add(value);
    }
}
