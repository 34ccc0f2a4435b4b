using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>
/// What ML.NET itself offers for few images: <c>DnnFeaturizeImage</c> with ResNet-18, then <c>LbfgsMaximumEntropy</c> with its defaults. It
/// uses neither CLIP nor class names. Unless it is tuned, validation images serve only to report an accuracy.
/// </summary>
/// <param name="folder">Folder of the package; null: NuGet's package folder.</param>
/// <param name="isTuned">Whether the regularisation is chosen on validation images, as <see cref="LinearProbe"/> does.</param>
internal sealed class ResNet18(string? folder, bool isTuned) : IStudyMethod
{
    private const string Kind = "resnet18",
        Tuned = "tuned";

    public static MethodFamily Family { get; } =
        new(
            [Kind],
            $"{Kind} (ML.NET's DnnFeaturizeImage and logistic regression, without CLIP), optionally followed by {Tuned} (regularised by "
                + "validation images)",
            Read
        );

    public bool KnowsNewClasses => false;

    public void Check(ClipBackbone backbone) => ResNet18Files.Find(folder);

    public IStudyClassifier Fit(MethodTask task)
    {
        MLContext context = task.CreateContext();
        var features = new ResNet18Features(ResNet18Files.Find(folder), context, task.Device);
        if (isTuned)
            return LinearProbe.Fit(task, context, features, Kind, refits: false);
        try
        {
            float[][] train = features.Images(task.Train, task.CancellationToken);
            var model = LogisticRegression.Train(context, LogisticRegression.Rows(train, task.Places(task.Train)), task.Classes.Count);
            return new FeatureClassifier(task.Classes, features, model.Score)
            {
                TrainedNumbers = (long)task.Classes.Count * (train[0].Length + 1),
                ValidationAccuracy = task.Accuracy(model.Score(features.Images(task.Validation, task.CancellationToken))),
            };
        }
        catch
        {
            features.Dispose();
            throw;
        }
    }

    private static ResNet18 Read(MethodText text)
    {
        text.RefuseValue();
        if (text.Options.FirstOrDefault(word => word != Tuned) is { } unknown)
            throw text.Unknown(unknown, Tuned);
        return new ResNet18(text.ResNet18, text.Options.Count > 0);
    }
}
