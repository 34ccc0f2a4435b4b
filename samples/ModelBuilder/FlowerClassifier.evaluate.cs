using Microsoft.ML;
using Microsoft.ML.Data;

namespace ModelBuilder;

/// <summary>Evaluates a trained model.</summary>
public static partial class FlowerClassifier
{
    /// <summary>Computes the accuracy, log-loss and confusion matrix of a model on images that it was not trained on.</summary>
    /// <param name="mlContext">The context that loaded the data.</param>
    /// <param name="model">A model from <see cref="RetrainModel"/> or <c>mlContext.Model.Load</c>.</param>
    /// <param name="testData">Test images with the columns Label and ImageSource.</param>
    public static MulticlassClassificationMetrics Evaluate(MLContext mlContext, ITransformer model, IDataView testData)
    {
        ArgumentNullException.ThrowIfNull(model);
        IDataView scored = model.Transform(testData);
        // The pipeline outputs the predicted class as text, but the metrics compare keys: it is mapped back to a key in the order of the
        // scores.
        VBuffer<ReadOnlyMemory<char>> names = default;
        scored.Schema["Score"].GetSlotNames(ref names);
        IDataView classes = mlContext.Data.LoadFromEnumerable(names.DenseValues().Select(name => new { Name = name.ToString() }));
        ITransformer toKey = mlContext.Transforms.Conversion.MapValueToKey("PredictedLabel", keyData: classes).Fit(scored);
        return mlContext.MulticlassClassification.Evaluate(
            toKey.Transform(scored),
            labelColumnName: "Label",
            scoreColumnName: "Score",
            predictedLabelColumnName: "PredictedLabel"
        );
    }
}
