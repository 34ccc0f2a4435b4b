using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Optimization;

public sealed class BestValuesTests
{
    /// <summary>The values are numbered from 1, and one score is offered for each in turn; <paramref name="best"/> is the number of the
    /// best.</summary>
    [Theory]
    [InlineData(3, 0.5, 0.7, 0.7, 0.6)]
    [InlineData(1, 0.7, 0.5, 0.6)]
    [InlineData(3, 0.5, 0.6, 0.7)]
    [InlineData(2, 0.0, 0.0)]
    public void Of_equal_scores_the_values_that_were_trained_longer_are_the_best(int best, params double[] scores)
    {
        LibTorch.EnsureLoaded();
        using var parameter = new Parameter(zeros(2));
        using var values = new BestValues([parameter]);
        for (int i = 0; i < scores.Length; i++)
        {
            Put(parameter, i + 1);
            values.Offer(scores[i]);
        }
        Put(parameter, -1);
        values.Restore();
        Assert.Equal([best, best], parameter.data<float>());
    }

    [Theory]
    [InlineData(0.69, 7)]
    [InlineData(0.7, 1)]
    [InlineData(0.71, 1)]
    public void What_an_earlier_run_had_gives_way_to_an_equal_score(double score, int best)
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        using var parameter = new Parameter(zeros(2));
        using var values = new BestValues([parameter]);
        values.Resume(0.7, [full(2, 7f)]);
        Put(parameter, 1);
        values.Offer(score);
        values.Restore();
        Assert.Equal([best, best], parameter.data<float>());
    }

    [Fact]
    public void Where_nothing_was_offered_the_present_values_stay()
    {
        LibTorch.EnsureLoaded();
        using var parameter = new Parameter(ones(2));
        using var values = new BestValues([parameter]);
        values.Restore();
        Assert.Equal([1, 1], parameter.data<float>());
        Assert.Empty(values.Values);
    }

    private static void Put(Parameter parameter, float value)
    {
        using var noGrad = no_grad();
        parameter.fill_(value);
    }
}
