using System.Runtime.CompilerServices;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.Fit;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Object lifetimes: models disposed while in use, models never disposed, and a CLIP whose files are gone when the fit
/// ends.</summary>
[Collection(RunsAlone.Name)]
public sealed class LifetimeTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new(1);

    private IDataView Test => _mlContext.Data.LoadFromEnumerable(images.Test);

    [Fact]
    public void Cursors_engines_and_mappers_of_a_disposed_model_say_so()
    {
        DplTransformer transformer = Fit();
        IDataView scored = transformer.Transform(Test);
        using DataViewRowCursor cursor = scored.GetRowCursor(scored.Schema);
        ValueGetter<VBuffer<float>> score = cursor.GetGetter<VBuffer<float>>(scored.Schema["Score"]);
        ValueGetter<ReadOnlyMemory<char>> label = cursor.GetGetter<ReadOnlyMemory<char>>(scored.Schema["Label"]);
        VBuffer<float> values = default;
        ReadOnlyMemory<char> name = default;
        Assert.True(cursor.MoveNext());
        score(ref values);
        using PredictionEngine<LabelledImage, Answer> engine = _mlContext.Model.CreatePredictionEngine<LabelledImage, Answer>(transformer);
        Assert.Equal(values.DenseValues(), engine.Predict(images.Test[0]).Score, (a, b) => Math.Abs(a - b) < 1e-5);

        engine.Dispose();
        transformer.Dispose();
        // Rows that were scored ahead stay valid; the next batch cannot be computed.
        for (int row = 1; row < 4; row++)
        {
            Assert.True(cursor.MoveNext());
            score(ref values);
            Assert.Equal(1, values.DenseValues().Sum(), 1e-4);
        }
        Assert.True(cursor.MoveNext());
        Require(() => score(ref values));
        label(ref name);
        Assert.Equal(images.Test[4].Label, name.ToString());
        Require(() => engine.Predict(images.Test[1]));
        Require(() => scored.GetColumn<float[]>("Score").Count());
        Require(() => transformer.Transform(Test).GetColumn<string>("PredictedLabel").Count());
        Require(() => transformer.WithClasses(["a", "b"]));
        using var stream = new MemoryStream();
        Exception refused = Assert.ThrowsAny<Exception>(() => _mlContext.Model.Save(transformer, Test.Schema, stream));
        Assert.IsType<ObjectDisposedException>(refused.InnerException ?? refused);
        // Members that need no tensors still work.
        Assert.Equal(3, transformer.ClassNames.Count);
        Assert.NotNull(transformer.GetOutputSchema(Test.Schema)["Score"].Name);

        static void Require(Action use)
        {
            var e = Assert.Throws<ObjectDisposedException>(use);
            Assert.Contains("DplTransformer", e.Message);
            Assert.Contains("by its owner and by each PredictionEngine", e.Message);
        }
    }

    [Fact]
    public async Task Many_threads_may_dispose_one_model_while_others_use_it()
    {
        byte[] zip = Saved(ModelContents.WithImageTower);
        for (int round = 0; round < LongRuns.Times(6, 300); round++)
        {
            DplTransformer transformer = Load(zip);
            using var start = new Barrier(8);
            Task[] threads =
            [
                .. Enumerable
                    .Range(0, 8)
                    .Select(i =>
                        Task.Factory.StartNew(
                            () =>
                            {
                                start.SignalAndWait();
                                if (i < 4)
                                {
                                    transformer.Dispose();
                                    return;
                                }
                                try
                                {
                                    Assert.Equal(
                                        images.Test.Count,
                                        transformer.Transform(Test).GetColumn<float[]>("Score").Count(row => Math.Abs(row.Sum() - 1) < 1e-4)
                                    );
                                }
                                catch (ObjectDisposedException)
                                {
                                    // Allowed as well: the model has been disposed.
                                }
                            },
                            CancellationToken.None,
                            TaskCreationOptions.LongRunning,
                            TaskScheduler.Default
                        )
                    ),
            ];
            await Task.WhenAll(threads);
        }
    }

    [Theory]
    [InlineData(ModelContents.PromptsOnly)]
    [InlineData(ModelContents.WithClip)]
    public void A_model_that_nobody_disposed_is_collected_and_its_clip_with_it(ModelContents contents)
    {
        byte[] zip = Saved(contents);
        LoadAndForget(zip);
        Collect();
        long before = Tensor.TotalCount;
        for (int i = 0; i < 3; i++)
            LoadAndForget(zip);
        Collect();
        Assert.InRange(Tensor.TotalCount - before, long.MinValue, 0);
    }

    /// <summary>The result of hours of training must not depend on a folder that has been unmounted in the meantime.</summary>
    [Fact]
    public void A_clip_that_is_gone_when_the_fit_ends_costs_nothing()
    {
        var folder = new TemporaryFolder();
        try
        {
            foreach (string path in Directory.GetFiles(small.Folder))
                folder.Copy(path);
            ClipBackbone backbone = ClipBackbone.Open(folder.FullPath);
            using DplTransformer transformer = Fit(o =>
            {
                (o.Backbone, o.Training.Epochs) = (backbone, 2);
                o.Progress = new ProgressRecorder(r =>
                {
                    if (r.Epoch == 2)
                        foreach (string path in Directory.GetFiles(folder.FullPath))
                            File.Delete(path);
                });
            });
            using DplTransformer expected = Fit(o => o.Training.Epochs = 2);
            Assert.Equal(Scores(expected), Scores(transformer));
        }
        finally
        {
            folder.Dispose();
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    [Fact]
    public void A_fit_keeps_the_clip_of_a_model_that_is_disposed_during_it()
    {
        DplTransformer loaded = Load(Saved(ModelContents.WithClip));
        using DplTransformer fitted = Fit(o => (o.Backbone, o.Progress) = (loaded.Backbone, new ProgressRecorder(_ => loaded.Dispose())));
        Assert.Equal(images.Test.Count, Scores(fitted).Length);
    }

    private void LoadAndForget(byte[] zip) =>
        Assert.Equal(images.Test.Count, Load(zip).Transform(Test).GetColumn<float[]>("Score").Count());

    private static void Collect()
    {
        // One finalizer releases the share; only the next collection can then free its tensors.
        for (int i = 0; i < 4; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }

    private byte[] Saved(ModelContents contents)
    {
        using DplTransformer transformer = Fit(o => o.ModelContents = contents);
        using var stream = new MemoryStream();
        _mlContext.Model.Save(transformer, Test.Schema, stream);
        return stream.ToArray();
    }

    private DplTransformer Load(byte[] zip)
    {
        using var stream = new MemoryStream(zip);
        return (DplTransformer)new MLContext().Knowing(small.Backbone).Model.Load(stream, out _);
    }

    private float[][] Scores(DplTransformer transformer) => [.. transformer.Transform(Test).GetColumn<float[]>("Score")];

    private DplTransformer Fit(Action<DplTrainer.Options>? change = null)
    {
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Configuration = PromptConfiguration.Uniform(small.Backbone, 1),
            Training = { Epochs = 1, BatchSize = 9 },
            Compute = { PredictionBatchSize = 4 },
        };
        change?.Invoke(options);
        return _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(_mlContext.Data.LoadFromEnumerable(images.Train));
    }

    private sealed class Answer
    {
        public float[] Score { get; set; } = [];
    }
}
