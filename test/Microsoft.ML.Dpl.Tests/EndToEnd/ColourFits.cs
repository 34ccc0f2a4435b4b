using System.Collections.Concurrent;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Tests that fit the small CLIP to images of plain colours and hear what the log says.</summary>
public abstract class ColourFits : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    private protected ColourFits(SmallBackbone small, ColourImages images)
    {
        (Small, Images) = (small, images);
        MLContext.Log += (_, e) =>
        {
            Log.Enqueue(e.Message);
            if (e.Kind == ChannelMessageKind.Warning)
                Warnings.Enqueue(e.Message);
        };
    }

    private protected MLContext MLContext { get; } = new(1);

    private protected ConcurrentQueue<string> Log { get; } = new();

    private protected ConcurrentQueue<string> Warnings { get; } = new();

    private protected SmallBackbone Small { get; }

    private protected ColourImages Images { get; }

    /// <summary>What a class's fits have in common, besides CLIP, the column of paths and batches of 6; made anew for each.</summary>
    private protected virtual DplTrainer.Options Common => new();

    private protected IDataView View(IEnumerable<LabelledImage> rows) => MLContext.Data.LoadFromEnumerable(rows);

    private protected float[][] Scores(DplTransformer transformer) =>
        [.. transformer.Transform(View(Images.Test)).GetColumn<float[]>("Score")];

    /// <param name="change">What is otherwise than in <see cref="Common"/>.</param>
    /// <param name="rows">Null: <see cref="ColourImages.Train"/>.</param>
    private protected DplTransformer Fit(Action<DplTrainer.Options> change, IReadOnlyList<LabelledImage>? rows = null)
    {
        DplTrainer.Options options = Common;
        (options.Backbone, options.ImageColumnName, options.Training.BatchSize) = (Small.Backbone, "ImagePath", 6);
        change(options);
        return MLContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options).Fit(View(rows ?? Images.Train));
    }
}
