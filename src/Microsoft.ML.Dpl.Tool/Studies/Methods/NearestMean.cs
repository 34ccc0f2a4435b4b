using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>The nearest-class-mean classifier (prototypes): the softmax over the classes of CLIP's logit scale times the cosine similarity
/// of an image's embedding to the mean embedding of a class. Validation images serve only to report an accuracy.</summary>
internal sealed class NearestMean : IStudyMethod
{
    private const string Kind = "nearest-mean";

    public static MethodFamily Family { get; } = new([Kind], "nearest-mean (the nearest mean of a class's image vectors)", Read);

    public bool KnowsNewClasses => false;

    public void Check(ClipBackbone backbone) => ClipFeatures.RequireTexts(backbone, Kind);

    public IStudyClassifier Fit(MethodTask task)
    {
        MLContext context = task.CreateContext();
        var features = new ClipFeatures(task, context);
        try
        {
            float[][] means = Means(features.Images(task.Train, task.CancellationToken), task.Places(task.Train), task.Classes.Count);
            double scale = features.LogitScale();
            float[][] Score(float[][] images) => Probabilities(images, means, scale);
            return new FeatureClassifier(task.Classes, features, Score)
            {
                TrainedNumbers = means.Sum(mean => (long)mean.Length),
                ValidationAccuracy = task.Accuracy(Score(features.Images(task.Validation, task.CancellationToken))),
            };
        }
        catch
        {
            features.Dispose();
            throw;
        }
    }

    /// <summary>Computes the mean of each class's vectors, normalised to length 1.</summary>
    /// <param name="vectors">Embeddings [image][width], of length 1.</param>
    /// <param name="places">Class index of each image; every class has at least one image.</param>
    /// <param name="classes">Number of classes.</param>
    internal static float[][] Means(IReadOnlyList<float[]> vectors, IReadOnlyList<int> places, int classes)
    {
        ILookup<int, float[]> byClass = vectors.Zip(places).ToLookup(pair => pair.Second, pair => pair.First);
        return [.. Enumerable.Range(0, classes).Select(place => ClipFeatures.MeanDirection([.. byClass[place]]))];
    }

    /// <param name="images">Image embeddings [image][width], of length 1.</param>
    /// <param name="means">Class means [class][width], of length 1.</param>
    /// <param name="logitScale">CLIP's factor on cosine similarities.</param>
    /// <returns>Probabilities [image][class].</returns>
    internal static float[][] Probabilities(IReadOnlyList<float[]> images, IReadOnlyList<float[]> means, double logitScale)
    {
        if (images.Count == 0)
            return [];
        using var scope = NewDisposeScope();
        using var still = no_grad();
        Tensor cosines = FeatureTensors.Create(images).matmul(FeatureTensors.Create(means).t());
        return FeatureTensors.Rows(cosines.Times(logitScale).softmax(1));
    }

    private static NearestMean Read(MethodText text)
    {
        text.RefuseValue();
        text.RefuseOptions();
        return new NearestMean();
    }
}
