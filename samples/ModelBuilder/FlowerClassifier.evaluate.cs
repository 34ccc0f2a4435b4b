using Microsoft.ML;
using Microsoft.ML.Data;

namespace ModelBuilder;

/// <summary>This part measures.</summary>
public static partial class FlowerClassifier
{
    /// <summary>Accuracy, loss and confusion of a model on images that it was not trained on.</summary>
    /// <param name="mlContext">The context of the data.</param>
    /// <param name="model">As <see cref="RetrainModel"/> gives it or <c>mlContext.Model.Load</c> reads it.</param>
    /// <param name="testData">With the columns Label and ImageSource.</param>
    public static MulticlassClassificationMetrics Evaluate(MLContext mlContext, ITransformer model, IDataView testData)
    {
        ArgumentNullException.ThrowIfNull(model);
        IDataView scored = model.Transform(testData);
        // The pipeline ends with the predicted class as text; metrics compare keys, so it becomes a key again, in the order of the scores.
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
