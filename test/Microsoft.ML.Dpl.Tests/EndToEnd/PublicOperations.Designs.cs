namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>What has to do with prompt designs.</summary>
internal static partial class PublicOperations
{
    private static IEnumerable<KeyValuePair<string, Operation>> DesignMembers() =>
        new Dictionary<string, Operation>
        {
            ["DplTransformer.get_Context()"] = new(w => Assert.Null(w.Trained.Context)),
            ["DplTransformer.get_Templates()"] = new(w => Assert.Null(w.Trained.Templates)),
            ["DplTransformer.get_Design()"] = new(w => Assert.Equal("distillation 0.1", Assert.Single(w.Trained.Design!.Regularizers))),
            ["DplDesign.ToString()"] = new(_ => Assert.Equal("coupled prompts", new DplDesign { Prompts = "coupled" }.ToString())),
            ["DplTransformer.NearestContextWords(Int32, DplWordDistance)"] = new(w => Assert.Empty(w.Trained.NearestContextWords(3))),
            ["DplEpochAverage.Gaussian(Double, Double)"] = new(_ => Assert.NotNull(DplEpochAverage.Gaussian(0.9, 0.1))),
            ["DplEpochAverage.Exponential(Double)"] = new(_ => Assert.NotNull(DplEpochAverage.Exponential(0.5))),
            ["DplEpochAverage.Last(Double)"] = new(_ => Assert.NotNull(DplEpochAverage.Last(0.5))),
            ["DplFinalist.ToString()"] = new(w =>
                Assert.Equal(
                    "the searched mixture",
                    new DplFinalist
                    {
                        Configuration = w.Trained.Configuration,
                        IsMixture = true,
                        ValidationLoss = 1,
                        ValidationAccuracy = 1,
                        TrainLoss = 1,
                    }.ToString()
                )
            ),
            ["DplEpochAverage.ToString()"] = new(_ => Assert.Equal("last 0.5", DplEpochAverage.Last(0.5).ToString())),
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
