using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace WebApp;

/// <summary>What Kestrel itself bounds.</summary>
internal sealed class ServerLimits(IOptions<ClassifierOptions> options) : IConfigureOptions<KestrelServerOptions>
{
    // Of each connection, before the sample reads and counts it.
    private const int RequestBufferBytes = 64 << 10;

    public void Configure(KestrelServerOptions server)
    {
        server.AddServerHeader = false;
        server.Limits.MaxConcurrentConnections = options.Value.MaxConnections;
        server.Limits.MaxRequestBufferSize = RequestBufferBytes;
    }
}
