using System.Collections.Concurrent;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Tests.Fit;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Base of tests that fit the small CLIP to images of plain colours and read the log.</summary>
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

    /// <summary>The options shared by a test class's fits, besides CLIP, the image path column and the batch size of 6; created for each
    /// fit.</summary>
    private protected virtual DplTrainer.Options Common => new();

    private protected IDataView View(IEnumerable<LabelledImage> rows) => MLContext.Data.LoadFromEnumerable(rows);

    private protected float[][] Scores(DplTransformer transformer) =>
        [.. transformer.Transform(View(Images.Test)).GetColumn<float[]>("Score")];

    /// <param name="change">Changes to <see cref="Common"/>.</param>
    /// <param name="rows">The training rows; null: <see cref="ColourImages.Train"/>.</param>
    private protected DplTransformer Fit(Action<DplTrainer.Options> change, IReadOnlyList<LabelledImage>? rows = null)
    {
        DplTrainer.Options options = Common;
        (options.Backbone, options.ImageColumnName, options.Training.BatchSize) = (Small.Backbone, "ImagePath", 6);
        change(options);
        return MLContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options).Fit(View(rows ?? Images.Train));
    }

    /// <summary>The model after saving and loading it, by a context that knows the small CLIP.</summary>
    private protected DplTransformer Reloaded(DplTransformer transformer)
    {
        using var zip = new MemoryStream();
        MLContext.Model.Save(transformer, View(Images.Test).Schema, zip);
        zip.Position = 0;
        return (DplTransformer)new MLContext().Knowing(Small.Backbone).Model.Load(zip, out _);
    }

    /// <summary>A fit that is cancelled after one step of an epoch, then resumed by a second fit in the same workspace.</summary>
    private protected DplTransformer Interrupted(Action<DplTrainer.Options> change, TemporaryFolder folder, FitStage stage, int epoch)
    {
        using var source = new CancellationTokenSource();
        void Kept(DplTrainer.Options o)
        {
            change(o);
            (o.Compute.WorkspacePath, o.Compute.CheckpointInterval) = (folder.File("workspace"), TimeSpan.FromTicks(1));
        }
        Assert.Throws<OperationCanceledException>(() =>
            Fit(o =>
            {
                Kept(o);
                o.CancellationToken = source.Token;
                o.Progress = new ProgressRecorder(report =>
                {
                    if (report.Stage == stage && report.Epoch == epoch && report.Step == 1)
                        source.Cancel();
                });
            })
        );
        var reports = new ProgressRecorder();
        DplTransformer resumed = Fit(o =>
        {
            Kept(o);
            o.Progress = reports;
        });
        Assert.Equal((stage, epoch, 2), (reports.Seen[0].Stage, reports.Seen[0].Epoch, reports.Seen[0].Step));
        return resumed;
    }
}
