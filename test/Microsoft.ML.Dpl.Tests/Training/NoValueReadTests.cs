using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Training;

/// <summary>
/// On a GPU every read of a value makes the host wait for the device. libtorch's meta device has shapes but no values, and throws where a
/// value is read: what runs there reads none. It lacks operations that the towers need; <see cref="HostWaitTests"/> covers those.
/// </summary>
public class NoValueReadTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Losses_and_optimizers_look_at_no_value(bool adam)
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        using var parameter = new Parameter(zeros([3, 5], device: META));
        using optim.Optimizer optimizer = adam
            ? optim.Adam([parameter], 0.1)
            : optim.SGD([parameter], 0.1, momentum: 0.9, weight_decay: 5e-4);
        Tensor labels = zeros([3], ScalarType.Int64, META),
            weights = ones([3], device: META),
            teacher = zeros([3, 5], device: META);
        // Two steps, because momentum starts with the second.
        for (int i = 0; i < 2; i++)
        {
            optimizer.zero_grad();
            Tensor unit = PromptedClip.UnitRows(parameter);
            (Losses.CrossEntropy(unit, labels, weights) + Losses.Distillation(teacher, unit, weights)).backward();
            GradientNorm.Bound([parameter], 1);
            optimizer.step();
        }
        Assert.Equal(DeviceType.META, parameter.grad!.device_type);
    }

    /// <summary>Otherwise the tests above would prove nothing.</summary>
    [Fact]
    public void The_meta_device_throws_where_a_value_is_looked_at()
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        Assert.ThrowsAny<Exception>(() => zeros(2, device: META).sum().item<float>());
        Assert.ThrowsAny<Exception>(() => zeros(2, device: META).cpu());
    }
}
