using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace WebApp;

/// <summary>The limits that Kestrel itself enforces.</summary>
internal sealed class ServerLimits(IOptions<ClassifierOptions> options) : IConfigureOptions<KestrelServerOptions>
{
    // Per connection: data that Kestrel buffers before the sample reads it and counts it towards its own limits.
    private const int RequestBufferBytes = 64 << 10;

    public void Configure(KestrelServerOptions server)
    {
        server.AddServerHeader = false;
        server.Limits.MaxConcurrentConnections = options.Value.MaxConnections;
        server.Limits.MaxRequestBufferSize = RequestBufferBytes;
    }
}
