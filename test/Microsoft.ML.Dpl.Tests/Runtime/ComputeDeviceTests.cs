using Microsoft.ML.Dpl.Runtime;
using TorchSharp;

namespace Microsoft.ML.Dpl.Tests.Runtime;

public class ComputeDeviceTests
{
    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("cpu")]
    [InlineData(" CPU ")]
    public void The_cpu_is_the_default_and_is_logged(string? requested)
    {
        var log = new List<string>();
        Assert.Equal(DeviceType.CPU, ComputeDevice.Choose(requested, null, fallbackToCpu: false, log.Add, Unexpected).type);
        Assert.StartsWith("Device: cpu", Assert.Single(log));
    }

    [Theory]
    [InlineData("gpu")]
    [InlineData("cuda:")]
    [InlineData("cuda:-1")]
    [InlineData("cuda:x")]
    public void Unknown_names_are_refused(string requested)
    {
        var refusal = Assert.Throws<ArgumentException>(() => ComputeDevice.Choose(requested, null, true, Unexpected, Unexpected));
        Assert.StartsWith($"device '{requested}' is unknown: use cpu, cuda or cuda:n.", refusal.Message);
        Assert.Equal("device", refusal.ParamName);
    }

    [SkippableTheory]
    [InlineData("cuda", null, "cuda:0")]
    [InlineData("cuda", 3, "cuda:3")]
    [InlineData("cuda:2", 1, "cuda:2")]
    [InlineData(null, 1, "cuda:1")]
    public void A_missing_gpu_is_an_error_or_a_logged_fallback(string? requested, int? ordinal, string named)
    {
        Skip.If(torch.cuda.is_available(), "this machine has a GPU");
        Assert.Contains(
            named,
            Assert
                .Throws<InvalidOperationException>(() =>
                    ComputeDevice.Choose(requested, ordinal, fallbackToCpu: false, Unexpected, Unexpected)
                )
                .Message
        );
        var warnings = new List<string>();
        Assert.Equal(DeviceType.CPU, ComputeDevice.Choose(requested, ordinal, fallbackToCpu: true, Unexpected, warnings.Add).type);
        Assert.Contains(named, Assert.Single(warnings));
    }

    [Fact]
    public void An_explicit_cpu_beats_the_contexts_gpu() =>
        Assert.Equal(DeviceType.CPU, ComputeDevice.Choose("cpu", 0, fallbackToCpu: false, _ => { }, Unexpected).type);

    private static void Unexpected(string message) => Assert.Fail(message);
}
