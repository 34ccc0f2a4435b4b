namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Predictions for one image at a time.</summary>
internal static partial class PublicOperations
{
    private static IEnumerable<KeyValuePair<string, Operation>> PredictionMembers() =>
        new Dictionary<string, Operation>
        {
            ["DplTransformer.Predict(String)"] = new(w =>
            {
                w.Trained.Predict(w.Images.Test[0].ImagePath);
                Assert.Throws<FileNotFoundException>(() => w.Trained.Predict("/missing/a.png"));
            }),
            ["DplTransformer.Predict(MLImage)"] = new(w => w.Trained.Predict(w.Image)),
            ["DplTransformer.get_Threshold()"] = new(w => Assert.Null(w.Trained.Threshold)),
            ["DplTransformer.set_Threshold(Nullable`1)"] = new(w => w.Trained.Threshold = null),
            ["DplTrainer.Fit(IDataView, DplTransformer)"] = new(
                w => w.Trainers.DifferentiablePromptLearning(w.Options()).Fit(w.Train, w.Trained).Dispose(),
                World.GivenLengths
            ),
            ["ImagePrediction.get_Label()"] = Predicted(p => Assert.NotNull(p.Label)),
            ["ImagePrediction.get_Probability()"] = Predicted(p => Assert.InRange(p.Probability, 0, 1)),
            ["ImagePrediction.get_Item(String)"] = Predicted(p => Assert.InRange(p["red"], 0, 1)),
            ["ImagePrediction.Best(Int32)"] = Predicted(p => Assert.Equal(2, p.Best(2).Count)),
            ["ImagePrediction.ToString()"] = Predicted(p => Assert.NotEmpty(p.ToString())),
            ["DplCatalog.LoadDpl(ModelOperationsCatalog, String)"] = new(w =>
            {
                using var folder = new TemporaryFolder();
                w.Context.Model.SaveWhole(w.Trained.Append(w.Trained), w.Train.Schema, folder.File("two.zip"));
                Assert.Throws<InvalidDataException>(() => w.Context.Knowing(w.Small.Backbone).Model.LoadDpl(folder.File("two.zip")));
                w.Context.Model.SaveWhole(w.Trained, w.Train.Schema, folder.File("one.zip"));
                w.Context.Model.LoadDpl(folder.File("one.zip")).Dispose();
            }),
        };

    private static Operation Predicted(Action<ImagePrediction> use) => new(w => use(w.Trained.Predict(w.Image)));
}
