using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Models;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>A model of this library in a study.</summary>
/// <param name="context">Of the model.</param>
/// <param name="model">Owned.</param>
/// <param name="isCoupled">Whether its image prompts were made of the text's by learned maps.</param>
/// <param name="learnsTemperature">Whether the factor on the similarities was learned, too.</param>
internal sealed class PromptClassifier(MLContext context, DplTransformer model, bool isCoupled, bool learnsTemperature) : IStudyClassifier
{
    private const int Chunk = 32;

    public DplTransformer Model => model;

    public IReadOnlyList<string> Classes => model.ClassNames;

    public double? ValidationAccuracy => model.ValidationAccuracy;

    public string? Choice => model.Configuration.IsZeroShot ? null : model.Configuration.ToString();

    /// <summary>Rows of prompts, context and task residual, with the factor on the similarities where it is learned; of coupled prompts
    /// the maps instead of the image rows; of a mixture every candidate's rows and weights.</summary>
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
