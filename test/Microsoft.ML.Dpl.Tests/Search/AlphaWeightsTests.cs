using Microsoft.ML.Dpl.Search;

namespace Microsoft.ML.Dpl.Tests.Search;

public sealed class AlphaWeightsTests
{
    private static readonly float[] Alphas = [1, 3, 2];
    private static readonly double Sum = Math.E + Math.Exp(3) + Math.Exp(2);

    [Fact]
    public void Weights_are_the_softmax_and_confidence_is_the_largest_of_them()
    {
        double[] expected = [Math.E / Sum, Math.Exp(3) / Sum, Math.Exp(2) / Sum];
        double[] weights = AlphaWeights.Softmax(Alphas);
        Assert.Equal(expected.Length, weights.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert.Equal(expected[i], weights[i], 1e-12);
        Assert.Equal(expected[1], AlphaWeights.Confidence(Alphas), 1e-12);
    }

    [Fact]
    public void Alphas_far_apart_do_not_overflow() => Assert.Equal([0, 1], AlphaWeights.Softmax([-3e38f, 3e38f]));

    [Fact]
    public void The_largest_alpha_chooses_and_the_first_of_equals()
    {
        Assert.Equal(1, AlphaWeights.Choice(Alphas));
        Assert.Equal(0, AlphaWeights.Choice([0, 0, -50]));
        Assert.Equal(1, AlphaWeights.Choice([-2, -1, -1]));
    }

    [Fact]
    public void Leads_are_softmax_weights_apart()
    {
        Assert.Equal((Math.Exp(3) - Math.Exp(2)) / Sum, AlphaWeights.Lead(Alphas), 1e-12);
        Assert.Equal(0, AlphaWeights.Lead([0, 0, -50]), 1e-12);
        Assert.Equal(
            [0, AlphaWeights.Lead(Alphas)],
            AlphaWeights.Leads([
                [0, 0, -50],
                Alphas,
            ])
        );
    }

    [Theory]
    [InlineData(4.5f, 0, 2.5)]
    [InlineData(2, -7, 7)]
    public void The_largest_change_is_that_of_any_alpha_in_either_branch(float lastOfText, float firstOfImage, double expected) =>
        Assert.Equal(
            expected,
            AlphaWeights.LargestChange(
                [Alphas, [0, 0, -50]],
                [
                    [1, 3, lastOfText],
                    [firstOfImage, 0, -50],
                ]
            ),
            1e-6
        );

    [Fact]
    public void One_candidate_leads_by_nothing() => Assert.Equal(0, AlphaWeights.Lead([3]));

    [Fact]
    public void Alphas_that_are_no_numbers_decide_nothing()
    {
        Assert.All(AlphaWeights.Softmax([1, float.NaN, 0]), weight => Assert.Equal(double.NaN, weight));
        Assert.Equal(double.NaN, AlphaWeights.Lead([1, float.NaN, 0]));
    }
}
