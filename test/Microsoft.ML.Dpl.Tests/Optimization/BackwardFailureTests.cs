using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Optimization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Optimization;

/// <summary>An exception in a custom backward is thrown to the caller instead of ending the process in libtorch's frames.</summary>
public class BackwardFailureTests
{
    [Fact]
    public void A_step_whose_backward_fails_throws_that_and_steps_nothing()
    {
        using var scope = NewDisposeScope();
        using var parameter = new Parameter(ones(3));
        using optim.Optimizer optimizer = optim.SGD([parameter], 0.1);
        var thrown = Assert.Throws<InvalidTimeZoneException>(() =>
            OptimizerStep.Take(optimizer, backward => Failing.apply(parameter, backward).sum(), FitStage.Training, 0, 0)
        );
        Assert.Equal("on purpose", thrown.Message);
        Assert.Equal([1, 1, 1], parameter.data<float>().ToArray());
    }

    private sealed class Failing : autograd.SingleTensorFunction<Failing>
    {
        public override string Name => nameof(Failing);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] arguments)
        {
            ctx.save_data("owner", arguments[1]);
            return ((Tensor)arguments[0]) * 2;
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor outputGradient) =>
            ((BackwardTensors)ctx.get_data("owner")).Guard(2, () => throw new InvalidTimeZoneException("on purpose"));
    }
}
