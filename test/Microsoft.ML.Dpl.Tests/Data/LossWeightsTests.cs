using Microsoft.ML.Dpl.Data;

namespace Microsoft.ML.Dpl.Tests.Data;

public sealed class LossWeightsTests
{
    [Fact]
    public void Weights_keep_their_proportions_and_average_to_one()
    {
        float[] scaled = LossWeights.Scale([1, 2, 3, 1e-3, 1e6])!;
        Assert.Equal(1, scaled.Average(w => (double)w), 1e-6);
        Assert.Equal(2, scaled[1] / scaled[0], 1e-5);
        Assert.Equal(1e9, (double)scaled[4] / scaled[3], 1e3);
    }

    [Fact]
    public void Weights_that_are_all_alike_are_none()
    {
        Assert.Null(LossWeights.Scale([0.1, 0.1, 0.1]));
        Assert.Null(LossWeights.Scale([]));
    }
}
