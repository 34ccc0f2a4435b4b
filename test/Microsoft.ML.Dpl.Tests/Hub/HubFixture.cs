using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.Tests.EndToEnd;

namespace Microsoft.ML.Dpl.Tests.Hub;

/// <summary>A hub that serves one small CLIP, and an empty cache.</summary>
internal sealed class HubFixture : IDisposable
{
    public const string Weights = "model.safetensors";

    private readonly TemporaryFolder _model = new(),
        _cache = new();

    public HubFixture()
    {
        SmallBackbone.Write(_model.FullPath, seed: 3);
        foreach (string path in Directory.GetFiles(_model.FullPath))
            Server.Files[Path.GetFileName(path)] = File.ReadAllBytes(path);
        Options = new HubOptions
        {
            CacheFolder = _cache.FullPath,
            Endpoint = Server.Address,
            Token = "",
            Offline = false,
            Retries = 2,
            RetryDelay = TimeSpan.Zero,
            Timeout = TimeSpan.FromSeconds(20),
        };
    }

    public HubServer Server { get; } = new();

    public HubOptions Options { get; init; }

    /// <summary>The folder with the files that the hub serves.</summary>
    public string ModelFolder => _model.FullPath;

    public string CacheFolder => _cache.FullPath;

    public string RepositoryFolder => Path.Combine(CacheFolder, "models--someone--small-clip");

    public string Snapshot => Path.Combine(RepositoryFolder, "snapshots", HubServer.Commit);

    public string Blob(string file) => Path.Combine(RepositoryFolder, "blobs", Server.Etag(file));

    public ClipBackbone Open(HubOptions? options = null) => ClipBackbone.FromPretrained(HubServer.Repository, options ?? Options);

    public HubException Refusal(HubOptions? options = null) => Assert.Throws<HubException>(() => Open(options));

    /// <summary>Changes the responses to the first <paramref name="count"/> requests that match <paramref name="which"/>.</summary>
    public void ChangeFirst(int count, Func<HubServer.Request, bool> which, Func<HubServer.Answer, HubServer.Answer> change)
    {
        int left = count;
        Server.Change = (request, answer) => which(request) && Interlocked.Decrement(ref left) >= 0 ? change(answer) : answer;
    }

    public void Dispose()
    {
        Server.Dispose();
        _model.Dispose();
        _cache.Dispose();
    }
}
