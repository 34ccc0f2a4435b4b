using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Messages that reach <c>MLContext.Log</c>, under the name of one component and its present task.</summary>
internal sealed class HostLog : IDisposable
{
    private readonly IChannel _channel;

    public HostLog(IHostEnvironment environment, string component, string task)
    {
        Host = environment.Register(component);
        _channel = Host.Start(task);
    }

    public IHost Host { get; }

    public void Info(string message) => _channel.Info(MessageSensitivity.None, message);

    public void Warning(string message) => _channel.Warning(MessageSensitivity.None, message);

    public void Dispose() => _channel.Dispose();
}
