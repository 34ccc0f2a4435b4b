using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Hub;

namespace Microsoft.ML.Dpl.Tests.Hub;

/// <summary>The cache is shared with Hugging Face's own tools: each can read what the other downloaded, and no path leads out of the
/// cache.</summary>
public sealed class HubCacheTests : IDisposable
{
    private readonly HubFixture _hub = new();

    public void Dispose() => _hub.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)] // files without links, as Python stores them where links cannot be created
    public void What_Python_downloaded_is_found_offline_and_checked(bool linked)
    {
        if (linked && OperatingSystem.IsWindows())
            return; // on Windows symbolic links need a privilege
        Directory.CreateDirectory(Path.Combine(_hub.RepositoryFolder, "blobs"));
        Directory.CreateDirectory(Path.Combine(_hub.RepositoryFolder, "refs"));
        Directory.CreateDirectory(_hub.Snapshot);
        File.WriteAllText(Path.Combine(_hub.RepositoryFolder, "refs", "main"), HubServer.Commit);
        foreach (var (name, bytes) in _hub.Server.Files)
        {
            string path = Path.Combine(_hub.Snapshot, name);
            File.WriteAllBytes(linked ? _hub.Blob(name) : path, bytes);
            if (linked)
                File.CreateSymbolicLink(path, $"../../blobs/{_hub.Server.Etag(name)}");
        }
        Assert.Equal(_hub.Snapshot, _hub.Open(_hub.Options with { Offline = true }).Location);
        Assert.Empty(_hub.Server.Requests);
        Assert.All(ClipHub.Verify(HubServer.Repository, _hub.Options), check => Assert.Equal(linked ? true : null, check.IsValid));

        // Online, the files' lengths agree with the hub's, so nothing is downloaded.
        _hub.Open();
        Assert.DoesNotContain(_hub.Server.Requests, r => r.Method == "GET");
    }

    [SkippableFact]
    public void A_damaged_and_a_missing_blob_are_found_out()
    {
        Skip.If(OperatingSystem.IsWindows(), "links need a privilege on Windows");
        _hub.Open();
        Assert.All(ClipHub.Verify(HubServer.Repository, _hub.Options), check => Assert.True(check.IsValid));
        byte[] bytes = File.ReadAllBytes(_hub.Blob(HubFixture.Weights));
        bytes[^1] ^= 1;
        File.WriteAllBytes(_hub.Blob(HubFixture.Weights), bytes);
        // A fit reads the hash first, so it never trains on damaged weights.
        string damage = Assert.Throws<InvalidDataException>(() => _hub.Open().Sha256).Message;
        Assert.Contains(_hub.Blob(HubFixture.Weights), damage);
        File.Delete(_hub.Blob("merges.txt"));
        IReadOnlyList<HubFileCheck> checks = ClipHub.Verify(HubServer.Repository, _hub.Options);
        Assert.Equal(["merges.txt", HubFixture.Weights], checks.Where(check => check.IsValid == false).Select(check => check.File));
        Assert.Equal(_hub.Server.Etag(HubFixture.Weights), checks.Single(check => check.File == HubFixture.Weights).Hash);

        // The missing file is downloaded again.
        _hub.Open();
        Assert.Equal(_hub.Server.Files["merges.txt"], File.ReadAllBytes(_hub.Blob("merges.txt")));
    }

    [Fact]
    public void What_a_revision_meant_is_nothing_without_its_files()
    {
        _hub.Open();
        Directory.Delete(_hub.Snapshot, recursive: true);
        HubException refusal = Assert.Throws<HubException>(() => ClipHub.Verify(HubServer.Repository, _hub.Options));
        Assert.Equal(HubFailure.Offline, refusal.Failure);
        _hub.Server.Requests.Clear();
        _hub.Open();
        Assert.DoesNotContain(_hub.Server.Requests, r => r.Method == "GET"); // the blobs are still here
    }

    [Fact]
    public void Where_links_cannot_be_made_the_file_itself_is_put_there()
    {
        var cache = new HubCache(_hub.CacheFolder, HubServer.Repository, (_, _) => throw new IOException("no privilege"));
        Directory.CreateDirectory(cache.BlobFolder);
        File.WriteAllText(cache.Blob("abc"), "content");
        string path = cache.Publish(HubServer.Commit, "config.json", "abc");
        Assert.Equal((Path.Combine(_hub.Snapshot, "config.json"), "content"), (path, File.ReadAllText(path)));
        Assert.Null(new FileInfo(path).LinkTarget);
        Assert.Null(HubCache.EtagOf(path));
        Assert.Equal(path, cache.Publish(HubServer.Commit, "config.json", "abc"));
    }

    [Theory]
    [InlineData("openai/clip-vit-base-patch16", true)]
    [InlineData("gpt2", true)]
    [InlineData("a/b/c", false)]
    [InlineData("../x", false)]
    [InlineData("a/..", false)]
    [InlineData("a--b/c", false)]
    [InlineData("a/b c", false)]
    [InlineData("/a", false)]
    [InlineData("", false)]
    public void Names_that_would_lead_elsewhere_are_none(string name, bool isOne) => Assert.Equal(isOne, HubNames.IsRepository(name));

    [Theory]
    [InlineData("../main")]
    [InlineData("a/../b")]
    [InlineData("/main")]
    [InlineData("a\\b")]
    [InlineData("c:x")]
    [InlineData("")]
    public void Revisions_that_would_lead_elsewhere_are_refused(string revision)
    {
        Assert.Throws<ArgumentException>(() => _hub.Open(_hub.Options with { Revision = revision }));
        Assert.Empty(_hub.Server.Requests);
    }

    [Fact]
    public void An_index_cannot_name_files_elsewhere()
    {
        _hub.Server.Files.TryRemove(HubFixture.Weights, out _);
        _hub.Server.Files["model.safetensors.index.json"] = "{\"weight_map\": {\"a\": \"../../../evil.safetensors\"}}"u8.ToArray();
        Assert.Throws<InvalidDataException>(() => _hub.Open());
    }

    [Fact]
    public void What_options_leave_out_comes_from_the_environment()
    {
        using var home = new TemporaryFolder();
        File.WriteAllText(home.File("token"), " from-file \n");
        HubSettings With(HubOptions? options, params (string Name, string Value)[] set) =>
            HubSettings.From(options, name => set.Where(s => s.Name == name).Select(s => s.Value).FirstOrDefault());

        HubSettings plain = With(null, ("HF_HOME", home.FullPath));
        Assert.Equal(
            (home.File("hub"), "https://huggingface.co/", "from-file", false),
            (plain.CacheFolder, plain.Endpoint.AbsoluteUri, plain.Token, plain.Offline)
        );
        HubSettings set = With(
            null,
            ("HF_HOME", home.FullPath),
            ("HF_HUB_CACHE", home.File("c")),
            ("HF_ENDPOINT", "http://mirror/hf"),
            ("HF_TOKEN", "t"),
            ("HF_HUB_OFFLINE", "1")
        );
        Assert.Equal((home.File("c"), "http://mirror/hf/", "t", true), (set.CacheFolder, set.Endpoint.AbsoluteUri, set.Token, set.Offline));
        HubSettings given = With(
            new HubOptions
            {
                Token = "",
                CacheFolder = home.File("d"),
                Endpoint = new Uri("https://other"),
                Offline = false,
            },
            ("HF_HOME", home.FullPath),
            ("HF_TOKEN", "t"),
            ("HF_HUB_OFFLINE", "1")
        );
        Assert.Equal(
            (home.File("d"), "https://other/", null, false),
            (given.CacheFolder, given.Endpoint.AbsoluteUri, given.Token, given.Offline)
        );
        Assert.Equal(Path.Combine(home.FullPath, "huggingface", "hub"), With(null, ("XDG_CACHE_HOME", home.FullPath)).CacheFolder);

        Assert.Equal(
            (home.File("$NONE/hub"), home.File("x")),
            (
                With(null, ("HF_HOME", "$BASE/$NONE"), ("BASE", home.FullPath)).CacheFolder,
                With(null, ("HF_HUB_CACHE", "${BASE}/x"), ("BASE", home.FullPath)).CacheFolder
            )
        );

        Assert.Equal("HF_HUB_OFFLINE", set.OfflineBy);
        Assert.Equal("TRANSFORMERS_OFFLINE", With(null, ("TRANSFORMERS_OFFLINE", "yes")).OfflineBy);
        Assert.False(With(null, ("TRANSFORMERS_OFFLINE", "yes"), ("HF_HUB_OFFLINE", "0")).Offline);
        Assert.Null(With(null, ("HF_HOME", home.FullPath), ("HF_TOKEN", "t"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")).Token);
        Assert.Equal("mine", With(new HubOptions { Token = "mine" }, ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")).Token);

        Assert.Contains("HF_ENDPOINT", Assert.Throws<ArgumentException>(() => With(null, ("HF_ENDPOINT", "huggingface"))).Message);
        Assert.Throws<ArgumentException>(() => With(new HubOptions { Endpoint = new Uri("ftp://x") }));
        Assert.Throws<ArgumentException>(() => With(new HubOptions { Timeout = TimeSpan.Zero }));
        Assert.Throws<ArgumentException>(() => With(new HubOptions { Retries = -1 }));
        Assert.Throws<ArgumentException>(() => With(new HubOptions { LockTimeout = TimeSpan.Zero }));
        Assert.Throws<ArgumentException>(() => With(new HubOptions { RetryDelay = TimeSpan.FromSeconds(-1) }));
    }

    [Theory]
    [InlineData("config.json")]
    [InlineData("vocab.json")]
    [InlineData("preprocessor_config.json")]
    public void A_small_file_that_was_damaged_in_the_cache_is_refused(string file)
    {
        if (OperatingSystem.IsWindows())
            return; // without links there is no hash to compare a file with
        _hub.Server.Files["preprocessor_config.json"] = "{\"image_mean\": [0.5, 0.5, 0.5]}"u8.ToArray();
        _hub.Open();
        string blob = _hub.Blob(file),
            text = File.ReadAllText(blob);
        File.WriteAllText(blob, text.Replace('5', '6').Replace('1', '2'));
        string message = Assert
            .Throws<InvalidDataException>(() =>
            {
                ClipBackbone backbone = _hub.Open(_hub.Options with { Offline = true });
                backbone.CreateTokenizer();
                backbone.ReadPreprocessing();
            })
            .Message;
        Assert.Contains($"Delete '{blob}'", message);
    }

    [Fact]
    public void Known_names_have_the_published_numbers_of_parameters()
    {
        Assert.Equal(151_277_313, KnownClip.Find("vit-b/32")!.Parameters);
        Assert.Equal(149_620_737, KnownClip.Find("ViT-B/16")!.Parameters);
        Assert.Equal(427_616_513, KnownClip.Find("openai/clip-vit-large-patch14")!.Parameters);
        Assert.Equal(427_944_193, KnownClip.Find("ViT-L/14@336px")!.Parameters);
        Assert.Equal(986_109_441, KnownClip.Find("laion/CLIP-ViT-H-14-laion2B-s32B-b79K")!.Parameters);
        Assert.Null(KnownClip.Find("ViT-B/8"));
        Assert.Contains("ViT-B/16", Assert.Throws<ArgumentException>(() => ClipBackbone.FromPretrained("ViT/B/8", _hub.Options)).Message);
    }
}
