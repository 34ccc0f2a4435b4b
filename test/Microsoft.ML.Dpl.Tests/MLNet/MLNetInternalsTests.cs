using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Tests.MLNet;

/// <summary>What the library reads from an <c>MLContext</c>: options and cancellation; and what it writes to it: log messages.</summary>
public sealed class MLNetInternalsTests
{
    [Fact]
    public void TheCatalogsEnvironmentIsTheContext()
    {
        var context = new MLContext(seed: 7) { GpuDeviceId = 2, FallbackToCpu = false };
        IHostEnvironment environment = MLNetInternals.EnvironmentOf(context.MulticlassClassification.Trainers);
        Assert.Equal(new EnvironmentOptions(7, 2, false), MLNetInternals.OptionsOf(environment));
    }

    [Fact]
    public void ARegisteredHostStillSeesTheContextsOptionsAndItsCancellation()
    {
        var context = new MLContext(seed: 7) { GpuDeviceId = 2 };
        using var log = new HostLog(MLNetInternals.EnvironmentOf(context.MulticlassClassification.Trainers), "Dpl", "Training");
        Assert.Equal(2, MLNetInternals.OptionsOf(log.Host).GpuDeviceId);
        MLNetInternals.ThrowIfCanceled(log.Host);
        context.CancelExecution();
        Assert.Throws<OperationCanceledException>(() => MLNetInternals.ThrowIfCanceled(log.Host));
        using var later = new HostLog(context, "Dpl", "Training again");
        Assert.Throws<OperationCanceledException>(() => MLNetInternals.ThrowIfCanceled(later.Host));
    }

    [Fact]
    public void MessagesReachTheContextsLogUnchanged()
    {
        var context = new MLContext();
        var heard = new List<(string Source, string Message, ChannelMessageKind Kind)>();
        context.Log += (_, e) => heard.Add((e.Source, e.RawMessage, e.Kind));
        using (var log = new HostLog(context, "Dpl", "Training"))
        {
            log.Info("100 % {0} of {braces}");
            log.Warning("careful");
        }
        Assert.Contains(heard, m => m.Source.Contains("Dpl") && m.Message == "100 % {0} of {braces}" && m.Kind == ChannelMessageKind.Info);
        Assert.Contains(heard, m => m.Message == "careful" && m.Kind == ChannelMessageKind.Warning);
    }
}
