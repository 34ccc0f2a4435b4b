using Microsoft.ML;
using Microsoft.ML.Data;

namespace ModelBuilder;

/// <summary>An image classifier in the shape that Model Builder generates; this part uses a saved model.</summary>
public static partial class FlowerClassifier
{
    /// <summary>What the model reads.</summary>
    public sealed class ModelInput
    {
        /// <summary>The class; not needed for a prediction.</summary>
        [LoadColumn(0)]
        [ColumnName("Label")]
        public string Label { get; set; } = "";

        /// <summary>An image file's bytes.</summary>
        [LoadColumn(1)]
        [ColumnName("ImageSource")]
        public byte[] ImageSource { get; set; } = [];
    }

    /// <summary>What the model answers.</summary>
    public sealed class ModelOutput
    {
        /// <summary>The key of the class that was given, from 1; 0 where none of the model's classes was.</summary>
        [ColumnName("Label")]
        public uint Label { get; set; }

        /// <summary>The image that was given.</summary>
        [ColumnName("ImageSource")]
        public byte[] ImageSource { get; set; } = [];

        /// <summary>The most probable class.</summary>
        [ColumnName("PredictedLabel")]
        public string PredictedLabel { get; set; } = "";

        /// <summary>The probability of each class, in the order of <see cref="GetLabels"/>.</summary>
        [ColumnName("Score")]
        public float[] Score { get; set; } = [];
    }

    /// <summary>The model that is loaded when the first image is predicted; later changes have no effect.</summary>
    public static string MLNetModelPath { get; set; } = Path.GetFullPath("FlowerClassifier.zip");

    /// <summary>Made at first use. Not for several threads at once; samples/WebApp shows how to serve many.</summary>
    public static readonly Lazy<PredictionEngine<ModelInput, ModelOutput>> PredictEngine = new(CreatePredictEngine, isThreadSafe: true);

    /// <summary>Classifies an image.</summary>
    public static ModelOutput Predict(ModelInput input) => PredictEngine.Value.Predict(input);

    /// <summary>All classes of an image with their probabilities, the most probable first.</summary>
    public static IOrderedEnumerable<KeyValuePair<string, float>> PredictAllLabels(ModelInput input) =>
        GetSortedScoresWithLabels(Predict(input));

    /// <summary>Puts the classes' names to an answer's scores, the most probable first.</summary>
    public static IOrderedEnumerable<KeyValuePair<string, float>> GetSortedScoresWithLabels(ModelOutput result)
    {
        ArgumentNullException.ThrowIfNull(result);
        return GetLabels().Zip(result.Score, KeyValuePair.Create).OrderByDescending(pair => pair.Value);
    }

    /// <summary>The names of the classes in the order of the scores.</summary>
    public static IEnumerable<string> GetLabels()
    {
        VBuffer<ReadOnlyMemory<char>> names = default;
        PredictEngine.Value.OutputSchema["Score"].GetSlotNames(ref names);
        return names.DenseValues().Select(name => name.ToString());
    }

    private static PredictionEngine<ModelInput, ModelOutput> CreatePredictEngine()
    {
        var mlContext = new MLContext();
        ITransformer mlModel = mlContext.Model.Load(MLNetModelPath, out _);
        return mlContext.Model.CreatePredictionEngine<ModelInput, ModelOutput>(mlModel);
    }
}
