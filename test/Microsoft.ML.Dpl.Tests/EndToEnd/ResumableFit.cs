using System.IO.Compression;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>A short fit with all the state that a checkpoint must keep: both stages, both optimizers, weights, distillation,
/// patience.</summary>
internal static class ResumableFit
{
    /// <summary>18 rows, 6 of them held out for validation: 3 batches per epoch.</summary>
    public const int StepsPerEpoch = 3;

    public static DplTrainer.Options Options(ClipBackbone backbone, string? workspace) =>
        new()
        {
            Backbone = backbone,
            ImageColumnName = "ImagePath",
            ExampleWeightColumnName = "Weight",
            Search =
            {
                CandidateLengths = [0, 1, 3],
                Epochs = 4,
                AlphaLearningRate = 0.02,
                Patience = 3,
                Margin = 0.01,
            },
            Training =
            {
                Recipe = TrainingRecipe.Paper,
                BatchSize = 4,
                Epochs = 6,
                LearningRate = 0.02,
                DistillationWeight = 0.3,
                Patience = 5,
            },
            Validation = { RowsPerClass = 2 },
            Compute =
            {
                WorkspacePath = workspace,
                // A checkpoint after every step.
                CheckpointInterval = TimeSpan.FromTicks(1),
            },
        };

    public static DplTransformer Fit(MLContext mlContext, DplTrainer.Options options, IEnumerable<LabelledImage> rows) =>
        mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(mlContext.Data.LoadFromEnumerable(Weighted(rows)));

    /// <summary>The learnt part of a model as bytes: prompts, class features, and the description with all alphas and losses.</summary>
    public static string Content(MLContext mlContext, DplTransformer transformer)
    {
        using var stream = new MemoryStream();
        mlContext.Model.Save(transformer, mlContext.Data.LoadFromEnumerable<LabelledImage>([]).Schema, stream);
        return Content(stream);
    }

    /// <summary>The learnt part of a saved model, in the same form.</summary>
    public static string Content(Stream zip)
    {
        using var archive = new ZipArchive(zip, ZipArchiveMode.Read, leaveOpen: true);
        return string.Join(
            '\n',
            archive
                .Entries.Where(e => e.Name is "dpl.json" or "prompts.safetensors")
                .OrderBy(e => e.Name)
                .Select(entry =>
                {
                    using Stream read = entry.Open();
                    using var bytes = new MemoryStream();
                    read.CopyTo(bytes);
                    byte[] content = bytes.ToArray();
                    string shown = entry.Name == "dpl.json" ? System.Text.Encoding.UTF8.GetString(content) : Convert.ToHexString(content);
                    return $"{entry.Name} {shown}";
                })
        );
    }

    private static List<LabelledImage> Weighted(IEnumerable<LabelledImage> rows) =>
        [
            .. rows.Select(
                (row, i) =>
                    new LabelledImage
                    {
                        ImagePath = row.ImagePath,
                        Label = row.Label,
                        Weight = 1 + i % 3,
                    }
            ),
        ];
}
