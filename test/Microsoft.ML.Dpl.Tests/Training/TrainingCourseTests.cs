using Microsoft.ML.Dpl.Training;

namespace Microsoft.ML.Dpl.Tests.Training;

public sealed class TrainingCourseTests
{
    private static readonly TrainingSettings Patient = new() { Epochs = 9, Patience = 2 };

    [Theory]
    [InlineData(false, 0.5, 0.6)]
    [InlineData(false, 0.5, 0.6, 0.6)]
    [InlineData(true, 0.5, 0.6, 0.6, 0.6)]
    [InlineData(true, 0.5, 0.6, 0.6, 0.4)]
    [InlineData(false, 0.5, 0.6, 0.4, 0.7)]
    public void Equal_accuracies_are_no_rise(bool ends, params double[] accuracies)
    {
        var course = new TrainingCourse { Epochs = [.. accuracies.Select(a => new TrainingEpoch(1, 1, 1, a))] };
        Assert.Equal(ends, course.ReasonToEnd(Patient) is not null);
        Assert.Null(course.ReasonToEnd(Patient with { Patience = null }));
        Assert.Equal(accuracies.Max(), course.BestAccuracy());
    }

    [Theory]
    [InlineData(null, 2d, 1.5, 1.2)]
    [InlineData(null, 2d, 9d, 2.4)]
    [InlineData(null, 0.1, 0.5)]
    [InlineData(1, 2d, 9d)]
    [InlineData(2, 2d, 9d, 1.8, 4d)]
    [InlineData(3, 2d, 9d, 8d, 8d, 9d)]
    public void Without_validation_a_loss_that_ended_far_above_the_first_is_not_the_result(int? epochs, params double[] losses)
    {
        var course = new TrainingCourse { Epochs = [.. losses.Select(loss => new TrainingEpoch(1, loss, null, null))] };
        Assert.Equal(epochs, course.EpochsOfLowestLoss());
        Assert.Equal(losses.Skip(1).Min(), course.LowestLoss());
        var validated = new TrainingCourse { Epochs = [.. losses.Select(loss => new TrainingEpoch(1, loss, 1, 0.5))] };
        Assert.Null(validated.EpochsOfLowestLoss());
    }

    [Fact]
    public void Without_validation_all_epochs_are_run()
    {
        var course = new TrainingCourse { Epochs = [.. Enumerable.Repeat(new TrainingEpoch(1, 1, null, null), 8)] };
        Assert.Null(course.ReasonToEnd(Patient));
        course.Add(2);
        course.Add(4);
        Assert.Null(course.ReasonToEnd(Patient));
        Assert.Equal(3, course.EndEpoch(1, null).TrainLoss);
        Assert.Contains("all 9", course.ReasonToEnd(Patient));
        Assert.Null(course.BestAccuracy());
    }
}
