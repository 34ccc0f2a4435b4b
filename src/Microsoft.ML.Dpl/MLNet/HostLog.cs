using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Writes messages to <c>MLContext.Log</c>, under the names of a component and its current task.</summary>
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
