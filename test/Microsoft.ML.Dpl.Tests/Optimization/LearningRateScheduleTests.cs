using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl.Tests.Optimization;

public class LearningRateScheduleTests
{
    [Fact]
    public void One_warm_up_epoch_then_a_cosine_from_the_full_rate()
    {
        Assert.Equal(1e-5, LearningRateSchedule.At(0, 10, 0.1));
        Assert.Equal(0.1, LearningRateSchedule.At(1, 10, 0.1), 12);
        Assert.Equal(0.05, LearningRateSchedule.At(6, 10, 0.1), 12);
        double[] rates = [.. Enumerable.Range(1, 9).Select(e => LearningRateSchedule.At(e, 10, 0.1))];
        Assert.Equal(rates.OrderDescending(), rates);
        Assert.All(rates, rate => Assert.InRange(rate, double.Epsilon, 0.1));
    }

    [Fact]
    public void The_warm_up_is_never_above_the_full_rate() => Assert.Equal(1e-6, LearningRateSchedule.At(0, 10, 1e-6));
}
