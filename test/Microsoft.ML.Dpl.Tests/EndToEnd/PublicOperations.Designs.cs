namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Operations on prompt designs.</summary>
internal static partial class PublicOperations
{
    private static IEnumerable<KeyValuePair<string, Operation>> DesignMembers() =>
        new Dictionary<string, Operation>
        {
            ["DplTransformer.get_Context()"] = new(w => Assert.Null(w.Trained.Context)),
            ["DplTransformer.get_Templates()"] = new(w => Assert.Null(w.Trained.Templates)),
            ["DplTransformer.get_Design()"] = new(w => Assert.Equal("distillation 0.1", Assert.Single(w.Trained.Design!.Regularizers))),
            ["PromptDesign.ToString()"] = new(_ => Assert.Equal("coupled prompts", new PromptDesign { Prompts = "coupled" }.ToString())),
            ["DplTransformer.NearestContextWords(Int32, WordDistance)"] = new(w => Assert.Empty(w.Trained.NearestContextWords(3))),
            ["EpochAverage.Gaussian(Double, Double)"] = new(_ => Assert.NotNull(EpochAverage.Gaussian(0.9, 0.1))),
            ["EpochAverage.Exponential(Double)"] = new(_ => Assert.NotNull(EpochAverage.Exponential(0.5))),
            ["EpochAverage.Last(Double)"] = new(_ => Assert.NotNull(EpochAverage.Last(0.5))),
            ["Finalist.ToString()"] = new(w =>
                Assert.Equal(
                    "the searched mixture",
                    new Finalist
                    {
                        Configuration = w.Trained.Configuration,
                        IsMixture = true,
                        ValidationLoss = 1,
                        ValidationAccuracy = 1,
                        TrainLoss = 1,
                    }.ToString()
                )
            ),
            ["EpochAverage.ToString()"] = new(_ => Assert.Equal("last 0.5", EpochAverage.Last(0.5).ToString())),
            ["DplTrainer.DesignOptions.get_Coupled()"] = new(_ => Assert.False(new DplTrainer.Options().Design.Coupled)),
            ["DplTrainer.DesignOptions.set_Coupled(Boolean)"] = new(_ =>
                Assert.True(
                    new DplTrainer.Options { Design = { Coupled = true } }
                        .Design
                        .Coupled
                )
            ),
        };
}
