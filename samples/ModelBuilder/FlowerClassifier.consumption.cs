using Microsoft.ML;
using Microsoft.ML.Data;

namespace ModelBuilder;

/// <summary>An image classifier with the structure of the code that Model Builder generates; this part uses a saved model.</summary>
public static partial class FlowerClassifier
{
    /// <summary>The model's input.</summary>
    public sealed class ModelInput
    {
        /// <summary>The class; not needed for a prediction.</summary>
        [LoadColumn(0)]
        [ColumnName("Label")]
        public string Label { get; set; } = "";

        /// <summary>The bytes of an image file.</summary>
        [LoadColumn(1)]
        [ColumnName("ImageSource")]
        public byte[] ImageSource { get; set; } = [];
    }

    /// <summary>The model's output.</summary>
    public sealed class ModelOutput
    {
        /// <summary>The key of the class given in the input, from 1; 0 if that is not one of the model's classes.</summary>
        [ColumnName("Label")]
        public uint Label { get; set; }

        /// <summary>The image given in the input.</summary>
        [ColumnName("ImageSource")]
        public byte[] ImageSource { get; set; } = [];

        /// <summary>The most probable class.</summary>
        [ColumnName("PredictedLabel")]
        public string PredictedLabel { get; set; } = "";

        /// <summary>The probability of each class, in the order of <see cref="GetLabels"/>.</summary>
        [ColumnName("Score")]
        public float[] Score { get; set; } = [];
    }

    /// <summary>Path of the model, which is loaded at the first prediction; later changes have no effect.</summary>
    public static string MLNetModelPath { get; set; } = Path.GetFullPath("FlowerClassifier.zip");

    /// <summary>The prediction engine, created at first use. It must not be used by several threads at once; samples/WebApp shows how to
    /// serve concurrent requests.</summary>
    public static readonly Lazy<PredictionEngine<ModelInput, ModelOutput>> PredictEngine = new(CreatePredictEngine, isThreadSafe: true);

    /// <summary>Classifies an image.</summary>
    public static ModelOutput Predict(ModelInput input) => PredictEngine.Value.Predict(input);

    /// <summary>Classifies an image and returns all classes with their probabilities, the most probable first.</summary>
    public static IOrderedEnumerable<KeyValuePair<string, float>> PredictAllLabels(ModelInput input) =>
        GetSortedScoresWithLabels(Predict(input));

    /// <summary>Pairs an output's scores with the class names, the most probable first.</summary>
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
