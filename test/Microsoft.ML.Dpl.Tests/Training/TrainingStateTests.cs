using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Training;

namespace Microsoft.ML.Dpl.Tests.Training;

public sealed class TrainingStateTests
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
        var state = new TrainingState { Epochs = [.. accuracies.Select(a => new TrainingEpoch(1, 1, 1, a))] };
        Assert.Equal(ends, state.ReasonToEnd(Patient) is not null);
        Assert.Null(state.ReasonToEnd(Patient with { Patience = null }));
        Assert.Equal(accuracies.Max(), state.BestAccuracy());
    }

    /// <summary>Guessing among 8 classes has a loss of ln 8.</summary>
    [Theory]
    [InlineData(null, nameof(LossTrouble.None), 2d, 1.5, 1.2)]
    [InlineData(null, nameof(LossTrouble.None), 2d, 9d, 2.4)]
    [InlineData(null, nameof(LossTrouble.None), 0.1, 0.5)]
    [InlineData(1, nameof(LossTrouble.Risen), 2d, 9d)]
    [InlineData(2, nameof(LossTrouble.Risen), 2d, 9d, 1.8, 4d)]
    [InlineData(3, nameof(LossTrouble.Risen), 2d, 9d, 8d, 8d, 9d)]
    [InlineData(1, nameof(LossTrouble.Chance), 2.45, 2.3, 2.0795, 2.0794)]
    [InlineData(null, nameof(LossTrouble.None), 2.45, 2.3, 2.0795, 2.05)]
    [InlineData(null, nameof(LossTrouble.Chance), 2.45, 2.0794, 2.0795)]
    public void Without_validation_the_last_prompts_are_not_the_result_where_the_losses_tell_of_trouble(
        int? epochs,
        string trouble,
        params double[] losses
    )
    {
        var state = new TrainingState { Epochs = [.. losses.Select(loss => new TrainingEpoch(1, loss, null, null))] };
        Assert.Equal(trouble, state.Trouble(classes: 8).ToString());
        Assert.Equal(epochs, state.EpochsOfLowestLoss(classes: 8));
        var validated = new TrainingState { Epochs = [.. losses.Select(loss => new TrainingEpoch(1, loss, 1, 0.5))] };
        Assert.Null(validated.EpochsOfLowestLoss(classes: 8));
    }

    [Fact]
    public void Without_validation_all_epochs_are_run()
    {
        var state = new TrainingState { Epochs = [.. Enumerable.Repeat(new TrainingEpoch(1, 1, null, null), 8)] };
        Assert.Null(state.ReasonToEnd(Patient));
        state.Add(2);
        state.Add(4);
        Assert.Null(state.ReasonToEnd(Patient));
        Assert.Equal(3, state.EndEpoch(1, null).TrainLoss);
        Assert.Contains("all 9", state.ReasonToEnd(Patient));
        Assert.Null(state.BestAccuracy());
    }
}
