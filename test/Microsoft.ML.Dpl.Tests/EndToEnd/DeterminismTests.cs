using Xunit.Abstractions;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>The same seed and number of threads give bit-identical results in every process, whatever else draws random numbers.</summary>
[Collection(RunsAlone.Name)]
public sealed class DeterminismTests(SmallBackbone small, ColourImages images, ITestOutputHelper output)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>
{
    private const int Processes = 3;

    /// <summary>Three threads, because three workers share a step: a sum of only two gradients would not depend on their order.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [Trait("Category", "Slow")]
    public async Task Processes_agree_to_the_last_bit(int threads)
    {
        using var fits = new FitProcess(small, images, threads);
        var outcomes = new List<FitProcess.Outcome>();
        // All runs write the same zip, since a saved model does not depend on its file name; hence they run one after another.
        for (int i = 0; i < Processes; i++)
            outcomes.Add(await fits.Run(FitHost.NoWorkspace, fits.File("model.zip")));
        Assert.All(outcomes, outcome => Assert.Equal(outcomes[0], outcome));
        Assert.Equal(images.Train.Count * 3 * sizeof(float) * 2, outcomes[0].Scores.Length);
        // A workspace does not change the results either.
        Assert.Equal(outcomes[0], await fits.Run(fits.File("workspace"), fits.File("model.zip")));
        output.WriteLine(
            $"reliability: {Processes} fits in as many processes and one with a workspace gave the same prompts, alphas, predictions "
                + $"and zip bytes (times of saving aside), {threads} {(threads == 1 ? "thread" : "threads")}"
        );
    }

    [Fact]
    public void Global_generators_are_neither_read_nor_moved()
    {
        string first = FitAfter(seed: 1, draws: 0),
            second = FitAfter(seed: 2, draws: 1000);
        Assert.Equal(first, second);
    }

    /// <summary>Fits with torch's global generator in a known state and after the given number of draws from <see cref="Random.Shared"/>,
    /// and checks that the fit leaves torch's generator unchanged.</summary>
    private string FitAfter(long seed, int draws)
    {
        random.manual_seed(seed);
        for (int i = 0; i < draws; i++)
            Random.Shared.Next();
        byte[] before = StateOfGlobal();
        var mlContext = new MLContext(1);
        using DplTransformer transformer = ResumableFit.Fit(mlContext, ResumableFit.Options(small.Backbone, null), images.Train);
        foreach (var _ in transformer.Transform(mlContext.Data.LoadFromEnumerable(images.Test)).Preview().RowView)
        {
            // Prediction draws no random numbers either.
        }
        Assert.Equal(before, StateOfGlobal());
        // Make sure that a draw does change the compared state.
        using (rand(1))
            Assert.NotEqual(before, StateOfGlobal());
        return ResumableFit.Content(mlContext, transformer);
    }

    private static byte[] StateOfGlobal()
    {
        using Generator global = Generator.Default;
        using Tensor state = global.get_state();
        return state.bytes.ToArray();
    }
}
