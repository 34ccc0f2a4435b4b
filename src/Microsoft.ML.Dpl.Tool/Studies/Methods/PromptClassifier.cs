using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Models;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>A model of this library as a classifier in a study.</summary>
/// <param name="context">The context of the model.</param>
/// <param name="model">The model; disposed with this object.</param>
/// <param name="isCoupled">Whether the image prompts are computed from the text prompts by learned linear maps.</param>
/// <param name="learnsTemperature">Whether the temperature was learned, too.</param>
internal sealed class PromptClassifier(MLContext context, DplTransformer model, bool isCoupled, bool learnsTemperature) : IStudyClassifier
{
    private const int Chunk = 32;

    public DplTransformer Model => model;

    public IReadOnlyList<string> Classes => model.ClassNames;

    public double? ValidationAccuracy => model.ValidationAccuracy;

    public string? Choice => model.Configuration.IsZeroShot ? null : model.Configuration.ToString();

    /// <summary>The parameters of prompts, context and task residual, plus the temperature if it is learned. For coupled prompts the linear
    /// maps count instead of the image prompts; for a mixture the rows and weights of all candidates count.</summary>
    public long TrainedNumbers
    {
        get
        {
            ExportedPrompts prompts = model.ExportPrompts();
            long text = prompts.Text.Sum(Count),
                beside = Count(prompts.Context) + Count(prompts.TaskResidual);
            long image = prompts
                .Image.Select((rows, layer) => isCoupled && layer < prompts.Text.Count ? Map(prompts.Text[layer], rows) : Count(rows))
                .Sum();
            long weights = prompts.Mixture is { } mixture ? mixture.TextWeights.Concat(mixture.ImageWeights).Sum(layer => layer.Count) : 0;
            long all = text + image + beside + weights;
            return all > 0 && learnsTemperature ? all + 1 : all;
        }
    }

    public IReadOnlyList<float[]> Probabilities(IReadOnlyList<ImageRow> rows, CancellationToken cancellationToken) =>
        [
            .. new ImageScores(context, model)
                .Score(rows, Chunk, cancellationToken)
                .Select(image => image.Numbers ?? throw new InvalidDataException($"{image.Row.ImagePath}: {image.Error}")),
        ];

    public IStudyClassifier WithClasses(IReadOnlyList<string> names) =>
        new PromptClassifier(context, model.WithClasses(names), isCoupled, learnsTemperature);

    public void Dispose() => model.Dispose();

    private static long Count(float[,]? rows) => rows?.LongLength ?? 0;

    private static long Map(float[,]? text, float[,]? image) =>
        text is null || image is null ? Count(image) : image.GetLongLength(1) * (text.GetLongLength(1) + 1);
}
