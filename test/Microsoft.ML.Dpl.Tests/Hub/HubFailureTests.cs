using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Hub;

namespace Microsoft.ML.Dpl.Tests.Hub;

/// <summary>Every kind of download failure is reported with its cause and what to do; the token is sent to the hub only.</summary>
public sealed class HubFailureTests : IDisposable
{
    private readonly HubFixture _hub = new();

    public void Dispose() => _hub.Dispose();

    [Theory]
    [InlineData(404, "RepoNotFound", HubFailure.RepositoryNotFound, "Check the spelling")]
    [InlineData(401, "RepoNotFound", HubFailure.RepositoryNotFound, "HF_TOKEN")]
    [InlineData(404, "RevisionNotFound", HubFailure.RevisionNotFound, "no revision 'main'")]
    [InlineData(401, null, HubFailure.AccessDenied, "HF_TOKEN")]
    [InlineData(403, null, HubFailure.AccessDenied, "HF_TOKEN")]
    [InlineData(403, "GatedRepo", HubFailure.AccessDenied, "accept its terms")]
    [InlineData(418, null, HubFailure.BadAnswer, "418")]
    public void What_the_hub_says_is_passed_on(int status, string? code, HubFailure failure, string message)
    {
        _hub.Server.Change = (_, _) => code is null ? HubServer.Empty(status) : HubServer.Empty(status, ("X-Error-Code", code));
        HubException refusal = _hub.Refusal();
        Assert.Equal(failure, refusal.Failure);
        Assert.Contains(message, refusal.Message);
        Assert.Single(_hub.Server.Requests);
    }

    [Fact]
    public void A_file_that_no_CLIP_lacks_is_named()
    {
        _hub.Server.Files.TryRemove("merges.txt", out _);
        HubException refusal = _hub.Refusal();
        Assert.Equal(HubFailure.FileNotFound, refusal.Failure);
        Assert.Contains("merges.txt", refusal.Message);
        // The weights of an unusable repository are not downloaded.
        Assert.DoesNotContain(_hub.Server.Requests, r => r.AtCdn);
    }

    [Fact]
    public void Another_kind_of_model_is_refused_before_its_weights_are_downloaded()
    {
        _hub.Server.Files["config.json"] = "{\"model_type\": \"siglip\"}"u8.ToArray();
        Assert.Contains("'siglip'", Assert.Throws<InvalidDataException>(() => _hub.Open()).Message);
        Assert.DoesNotContain(_hub.Server.Requests, r => r.AtCdn);
    }

    [Fact]
    public void A_server_that_fails_for_a_while_is_asked_again_and_one_that_fails_for_good_is_given_up()
    {
        _hub.ChangeFirst(2, r => r.Method == "HEAD", _ => HubServer.Empty(503));
        _hub.Open();

        using var other = new HubFixture();
        other.Server.Change = (_, _) => HubServer.Empty(503);
        HubException refusal = other.Refusal();
        Assert.Equal(HubFailure.Unreachable, refusal.Failure);
        Assert.Contains("3 tries", refusal.Message);
        Assert.Equal(3, other.Server.Requests.Count);
    }

    [Fact]
    public void A_hub_that_cannot_be_reached_is_not_needed_for_what_is_here()
    {
        _hub.Open();
        _hub.Server.Dispose();
        Assert.Equal(_hub.Snapshot, _hub.Open().Location);

        HubException refusal = _hub.Refusal(_hub.Options with { Revision = "refs/pr/1" });
        Assert.Equal(HubFailure.Unreachable, refusal.Failure);
    }

    [Fact]
    public void What_is_here_only_in_part_is_worth_several_tries()
    {
        _hub.Open();
        File.Delete(Path.Combine(_hub.Snapshot, HubFixture.Weights));
        File.Delete(_hub.Blob(HubFixture.Weights));
        _hub.ChangeFirst(2, r => r.Method == "HEAD", _ => HubServer.Empty(503));
        Assert.Equal(_hub.Snapshot, _hub.Open().Location);
        Assert.True(File.Exists(_hub.Blob(HubFixture.Weights)));
    }

    [Fact]
    public async Task A_vocabulary_alone_is_fetched_once_and_found_without_the_hub()
    {
        string path = await ClipHub.FetchVocabularyAsync(HubServer.Repository, _hub.Options);
        Assert.Equal(Path.Combine(_hub.Snapshot, "vocab.json"), path);
        Assert.Equal(
            ["merges.txt", "vocab.json"],
            Directory.GetFiles(_hub.Snapshot).Select(Path.GetFileName).Order(StringComparer.Ordinal)
        );
        _hub.Server.Dispose();
        Assert.Equal(path, await ClipHub.FetchVocabularyAsync(HubServer.Repository, _hub.Options));
        Assert.Equal(path, await ClipHub.FetchVocabularyAsync(HubServer.Repository, _hub.Options with { Offline = true }));
        Assert.Null(ClipHub.GetCachedFolder(HubServer.Repository, _hub.Options));
    }

    [Fact]
    public void A_silent_server_is_given_up()
    {
        using var never = new ManualResetEventSlim();
        _hub.Server.Change = (_, answer) =>
        {
            never.Wait(TimeSpan.FromSeconds(5));
            return answer;
        };
        HubException refusal = _hub.Refusal(_hub.Options with { Timeout = TimeSpan.FromMilliseconds(200), Retries = 1 });
        never.Set();
        Assert.Equal(HubFailure.Unreachable, refusal.Failure);
        Assert.Contains("sent nothing for 0.2 s", refusal.Message);
    }

    [Fact]
    public void Offline_nothing_is_asked_and_what_is_missing_is_said()
    {
        HubOptions offline = _hub.Options with { Offline = true };
        HubException refusal = _hub.Refusal(offline);
        Assert.Equal(HubFailure.Offline, refusal.Failure);
        Assert.Contains("HubOptions.Offline is set", refusal.Message);

        _hub.Open();
        _hub.Server.Requests.Clear();
        File.Delete(Path.Combine(_hub.Snapshot, "vocab.json"));
        refusal = _hub.Refusal(offline);
        Assert.Equal(HubFailure.Offline, refusal.Failure);
        Assert.Contains("only in part: neither vocab.json", refusal.Message);
        Assert.Null(ClipHub.GetCachedFolder(HubServer.Repository, offline));
        Assert.Empty(_hub.Server.Requests);
    }

    [Fact]
    public void The_token_is_sent_to_the_hub_and_to_no_other_address()
    {
        _hub.Open(_hub.Options with { Token = "hf_secret" });
        Assert.All(_hub.Server.Requests.Where(r => !r.AtCdn), r => Assert.Equal("Bearer hf_secret", r.Headers["authorization"]));
        HubServer.Request elsewhere = Assert.Single(_hub.Server.Requests, r => r.AtCdn);
        Assert.DoesNotContain("authorization", elsewhere.Headers.Keys);
        Assert.DoesNotContain(elsewhere.Headers.Values, v => v.Contains("secret", StringComparison.Ordinal));
    }

    [Fact]
    public void Redirections_within_the_hub_are_followed_and_endless_ones_are_not()
    {
        _hub.Server.Change = (request, answer) =>
            request.AtCdn || request.Path.StartsWith("/moved/", StringComparison.Ordinal)
                ? answer
                : HubServer.Empty(307, ("Location", "/moved" + request.Path));
        HubException refusal = _hub.Refusal();
        Assert.Equal(HubFailure.RepositoryNotFound, refusal.Failure); // '/moved/…' was requested, and its response is the hub's own

        _hub.Server.Change = (request, _) => HubServer.Empty(307, ("Location", request.Path));
        Assert.Contains("more than 10 times", _hub.Refusal().Message);
        _hub.Server.Change = (_, _) => HubServer.Empty(302, ("Location", _hub.Server.CdnAddress + "x"));
        Assert.Equal(HubFailure.BadAnswer, _hub.Refusal().Failure);
        Assert.DoesNotContain(_hub.Server.Requests, r => r.AtCdn);
    }

    [Fact]
    public void An_answer_that_is_no_hubs_is_refused()
    {
        _hub.Server.Change = (_, _) => new HubServer.Answer(200, "<html>log in to the hotel's network</html>"u8.ToArray(), []);
        HubException refusal = _hub.Refusal();
        Assert.Equal(HubFailure.BadAnswer, refusal.Failure);
        Assert.Contains("HF_ENDPOINT", refusal.Message);

        string[] bad = ["../../../etc", "a/b", "..", ""];
        Assert.All(bad, etag =>
        {
            _hub.Server.Change = (_, answer) =>
                answer with
                {
                    Headers = new() { ["ETag"] = $"\"{etag}\"", ["X-Repo-Commit"] = HubServer.Commit },
                };
            Assert.Equal(HubFailure.BadAnswer, _hub.Refusal().Failure);
        });
        _hub.Server.Change = (_, answer) =>
            answer with
            {
                Headers = new() { ["ETag"] = "\"abc\"", ["X-Repo-Commit"] = "../../x" },
            };
        Assert.Equal(HubFailure.BadAnswer, _hub.Refusal().Failure);
        // The Content-Length of a redirection is not the length of the file.
        _hub.Server.Change = (request, answer) =>
            request.Method == "HEAD"
                ? answer with
                {
                    Status = 302,
                    Headers = new()
                    {
                        ["X-Linked-Etag"] = $"\"{HubServer.Sha256([])}\"",
                        ["X-Repo-Commit"] = HubServer.Commit,
                        ["Location"] = $"{_hub.Server.CdnAddress}x",
                    },
                }
                : answer;
        Assert.Equal(HubFailure.BadAnswer, _hub.Refusal().Failure);
    }

    [Fact]
    public async Task A_disk_without_room_is_said_before_anything_is_downloaded()
    {
        HubSettings settings = HubSettings.From(_hub.Options);
        using var client = new HubClient(settings);
        var (file, _) = await client.FindAsync(HubServer.Repository, "main", HubFixture.Weights, default);
        var download = new BlobDownload(client, new HubCache(_hub.CacheFolder, HubServer.Repository), _hub.Options, _ => 10);
        HubException refusal = await Assert.ThrowsAsync<HubException>(() => download.FetchAsync(file!, default));
        Assert.Equal(HubFailure.CacheNotWritable, refusal.Failure);
        Assert.Contains("HF_HUB_CACHE", refusal.Message);
        Assert.DoesNotContain(_hub.Server.Requests, r => r.Method == "GET");
    }

    /// <summary>Otherwise a power cut could leave a blob with its final name but without its content, although the name is taken as proof
    /// of the content.</summary>
    [Fact]
    public async Task A_blobs_bytes_are_on_the_disk_before_it_has_its_name()
    {
        var log = new FlushLog();
        using var client = new HubClient(HubSettings.From(_hub.Options));
        var download = new BlobDownload(client, new HubCache(_hub.CacheFolder, HubServer.Repository), _hub.Options, open: log.Open);
        foreach (string name in (string[])["config.json", HubFixture.Weights])
        {
            var (file, _) = await client.FindAsync(HubServer.Repository, "main", name, default);
            await download.FetchAsync(file!, default);
            Assert.Equal((_hub.Blob(name) + ".incomplete", _hub.Server.Files[name].LongLength), log.Flushes[^1]);
            Assert.Equal(_hub.Server.Files[name], File.ReadAllBytes(_hub.Blob(name)));
        }
        Assert.Equal(2, log.Flushes.Count);
    }

    [SkippableFact]
    public void A_disk_that_fills_up_is_not_taken_for_a_bad_network()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "needs /dev/full");
        Directory.CreateDirectory(Path.GetDirectoryName(_hub.Blob("config.json"))!);
        File.CreateSymbolicLink(_hub.Blob("config.json") + ".incomplete", "/dev/full");
        HubException refusal = _hub.Refusal();
        Assert.Equal(HubFailure.CacheNotWritable, refusal.Failure);
        Assert.Single(_hub.Server.Gets("config.json"));
    }

    [Fact]
    public void A_cache_that_cannot_be_made_is_named()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("file"), "");
        HubException refusal = _hub.Refusal(_hub.Options with { CacheFolder = folder.File("file") });
        Assert.Equal(HubFailure.CacheNotWritable, refusal.Failure);
        Assert.Contains(folder.File("file"), refusal.Message);
    }
}
