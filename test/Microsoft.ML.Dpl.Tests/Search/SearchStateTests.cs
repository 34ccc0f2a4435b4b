using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Tests.Optimization;
using Microsoft.ML.Dpl.Tests.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Search;

public sealed class SearchStateTests
{
    private static readonly SearchSettings Patient = new()
    {
        Epochs = 9,
        Candidates = [0, 2, 4],
        Patience = 2,
        Margin = 0.3,
    };

    [Fact]
    public void Choices_must_rest_for_the_patience_and_lead_by_the_margin()
    {
        Assert.Null(After((1, 2), (1, 2)).ReasonToEnd(Patient));
        Assert.Contains("2 epochs", After((1, 2), (1, 2), (1, 2)).ReasonToEnd(Patient));
        Assert.Null(After((0, 2), (1, 2), (1, 2)).ReasonToEnd(Patient));
        Assert.Contains("4 of 9", After((0, 2), (1, 2), (1, 2), (1, 2)).ReasonToEnd(Patient));
        Assert.Null(After((1, 2), (1, 2), (1, 0.2f)).ReasonToEnd(Patient));
        Assert.NotNull(After((1, 2), (1, 2), (1, 0.2f)).ReasonToEnd(Patient with { Margin = 0.05 }));
        // A lead equal to the margin suffices, so with a margin of 0 no lead is needed.
        Assert.NotNull(After((0, 0), (0, 0), (0, 0)).ReasonToEnd(Patient with { Margin = 0 }));
        Assert.Null(After((1, 2), (1, 2), (1, 2)).ReasonToEnd(Patient with { Patience = null }));
        Assert.Contains("all 3", After((1, 2), (0, 2), (1, 2)).ReasonToEnd(Patient with { Epochs = 3 }));
    }

    /// <summary>Equal alphas have a lead of 0.</summary>
    [Theory]
    [InlineData(0, 5)]
    [InlineData(1e-9, 0)]
    public void A_layer_counts_as_decided_from_the_margin_on(double margin, int decided)
    {
        using var scope = NewDisposeScope();
        using var trainable = new TrainableClip();
        using Supernet supernet = trainable.Supernet();
        using (no_grad())
            foreach (Tensor alphas in supernet.Alphas)
                alphas.zero_();
        var steps = new StepRecorder();
        // A rate far too small to separate the alphas.
        var settings = new SearchSettings
        {
            Epochs = 1,
            Candidates = [0, 1, 2],
            AlphaLearningRate = 1e-30,
            Margin = margin,
        };
        new BilevelSearch(trainable.Clip, settings, steps).Run(supernet, trainable.Train, trainable.Validation, new SearchState());
        Assert.Equal(decided, steps.Reports[^1].EndedEpoch!.DecidedLayers);
    }

    [Fact]
    public void The_chosen_candidates_prompts_are_taken_out_of_the_supernet()
    {
        using var scope = NewDisposeScope();
        using Generator generator = Seeds.Generator(1, "test");
        using SupernetBranch supernet = SupernetBranch.Create(
            [0, 1, 2, 4],
            layers: 4,
            width: 3,
            PromptDistribution.Normal(1),
            generator,
            CPU
        );
        using FixedBranch chosen = supernet.Choose([4, 0, 1, 2]);
        Assert.Equal([4, 0, 1, 2], chosen.Lengths);
        TensorAssert.BitEqual(supernet.Rows[0].narrow(0, 3, 4), chosen.Rows[0]!);
        TensorAssert.BitEqual(supernet.Rows[2].narrow(0, 0, 1), chosen.Rows[2]!);
        TensorAssert.BitEqual(supernet.Rows[3].narrow(0, 1, 2), chosen.Rows[3]!);
    }

    /// <summary>Epochs in which one layer makes the given choice with a lead of the given alpha, and another layer always leads
    /// clearly.</summary>
    private static SearchState After(params (int Choice, float Alpha)[] epochs) =>
        new()
        {
            Epochs =
            [
                .. epochs.Select(e => new SearchEpoch(
                    1,
                    1,
                    1,
                    textAlphas: [new float[] { 0, 9, 0 }],
                    imageAlphas:
                    [
                        [.. Enumerable.Range(0, 3).Select(c => c == e.Choice ? e.Alpha : 0)],
                    ]
                )),
            ],
        };
}
