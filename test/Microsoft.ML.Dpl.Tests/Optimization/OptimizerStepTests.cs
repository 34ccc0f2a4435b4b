using Microsoft.ML.Dpl.Optimization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Optimization;

/// <summary>A step that would corrupt the parameters is not taken.</summary>
public class OptimizerStepTests
{
    /// <summary>sqrt has a value at 0 but no derivative, so the loss alone would not reveal the problem.</summary>
    [Theory]
    [InlineData(0f, nameof(Watched.Gradient))]
    [InlineData(-1f, nameof(Watched.Loss))]
    public void Neither_a_loss_nor_a_gradient_that_is_no_number_is_stepped_with(float at, string expected)
    {
        using var scope = NewDisposeScope();
        using var parameter = new Parameter(tensor([4f, at]));
        using var other = new Parameter(ones(2));
        using optim.Optimizer optimizer = optim.SGD([other, parameter], 0.1);
        var e = Assert.Throws<NonFiniteValueException>(() =>
            OptimizerStep.Take(optimizer, _ => parameter.sqrt().sum() + other.sum(), FitStage.Search, epoch: 3, step: 4)
        );
        Assert.Equal((expected, FitStage.Search, 3, 4), (e.Watched.ToString(), e.Stage, e.Epoch, e.Step));
        Assert.Equal([4f, at], parameter.data<float>().ToArray());
        Assert.Equal([1f, 1f], other.data<float>().ToArray());
    }

    [Fact]
    public void Parameters_that_the_loss_does_not_depend_on_are_no_trouble()
    {
        using var scope = NewDisposeScope();
        using var parameter = new Parameter(tensor([2f, -3f]));
        using var unused = new Parameter(ones(2));
        using optim.Optimizer optimizer = optim.SGD([unused, parameter], 0.5);
        Assert.Equal(13, OptimizerStep.Take(optimizer, _ => parameter.square().sum(), FitStage.Training, 0, 0));
        Assert.Equal([0f, 0f], parameter.data<float>().ToArray());
    }
}
