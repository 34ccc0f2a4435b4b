using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.ML.Data;
using Xunit.Abstractions;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>A process that predicts for months: memory use stays flat, and predictions under load are bit-identical to those of an idle
/// process. Set DPL_LONG=1 for the long runs.</summary>
[Collection(RunsAlone.Name)]
public sealed class LongRunTests(SmallBackbone small, ColourImages images, ITestOutputHelper output)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new(1);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Predictions_leave_memory_as_it_was(bool byEngine)
    {
        using DplTransformer transformer = Fit();
        Action<int> predict = byEngine ? count => ByEngine(transformer, count) : count => ByCursor(transformer, count);
        int count = LongRuns.Times(1_500, 100_000);
        Watch($"{count} predictions through {(byEngine ? "an engine" : "a cursor")}", () => predict(count / 3), () => predict(count));
    }

    [Theory]
    [InlineData(ModelContents.PromptsOnly)]
    [InlineData(ModelContents.WithClip)]
    public void Loading_and_disposing_leaves_memory_as_it_was(ModelContents contents)
    {
        byte[] zip;
        float[] expected;
        using (DplTransformer transformer = Fit())
        {
            transformer.Contents = contents;
            using var stream = new MemoryStream();
            _mlContext.Model.Save(transformer, _mlContext.Data.LoadFromEnumerable(images.Train).Schema, stream);
            zip = stream.ToArray();
            expected = First(transformer);
        }
        MLContext loader = new MLContext().Knowing(small.Backbone);
        void Cycle(int times)
        {
            for (int i = 0; i < times; i++)
            {
                using var stream = new MemoryStream(zip);
                using var loaded = (DplTransformer)loader.Model.Load(stream, out _);
                if (i % 50 == 0)
                    Assert.Equal(expected, First(loaded));
            }
        }
        int cycles = LongRuns.Times(40, 1_000);
        Watch($"{cycles} cycles of load and dispose, {contents}", () => Cycle(cycles / 3), () => Cycle(cycles));
    }

    [Fact]
    public void Fits_leave_memory_as_it_was()
    {
        int fits = LongRuns.Times(4, 200);
        void Run(int times)
        {
            for (int i = 0; i < times; i++)
                Fit().Dispose();
        }
        // TorchSharp counts a Parameter once more than it frees, so the number of tensors is checked elsewhere.
        Watch($"{fits} fits", () => Run(fits / 2), () => Run(fits), countsTensors: false);
    }

    [Fact]
    public void Eight_threads_predict_while_two_fits_run_and_all_get_the_bits_of_quiet_runs()
    {
        DplTrainer.Options Options() => ResumableFit.Options(small.Backbone, workspace: null);
        string Content()
        {
            using DplTransformer trained = ResumableFit.Fit(new MLContext(1), Options(), images.Train);
            return ResumableFit.Content(_mlContext, trained);
        }
        string quiet = Content();
        using DplTransformer transformer = Fit();
        float[][] byEngine,
            byCursor = Scores(transformer);
        using (PredictionEngine<LabelledImage, Answer> engine = Engine(transformer))
            byEngine = [.. images.Test.Select(p => engine.Predict(p).Score)];

        int fits = LongRuns.Times(1, 40),
            predictions = 0;
        using var ended = new CancellationTokenSource();
        var failures = new ConcurrentQueue<Exception>();
        Thread[] users =
        [
            .. Enumerable
                .Range(0, 8)
                .Select(i =>
                    Start(() =>
                    {
                        using PredictionEngine<LabelledImage, Answer> engine = Engine(transformer);
                        for (int n = i; !ended.IsCancellationRequested; n++)
                        {
                            Assert.Equal(byEngine[n % byEngine.Length], engine.Predict(images.Test[n % byEngine.Length]).Score);
                            if (n % 16 == 0)
                                Assert.Equal(byCursor, Scores(transformer));
                            Interlocked.Increment(ref predictions);
                        }
                    })
                ),
        ];
        Thread[] trainers =
        [
            .. Enumerable
                .Range(0, 2)
                .Select(_ =>
                    Start(() =>
                    {
                        for (int n = 0; n < fits; n++)
                            Assert.Equal(quiet, Content());
                    })
                ),
        ];
        foreach (Thread thread in trainers)
            thread.Join();
        ended.Cancel();
        foreach (Thread thread in users)
            thread.Join();
        Assert.Empty(failures);
        Assert.True(predictions > 8, $"{predictions} predictions");
        output.WriteLine($"2 x {fits} fits beside 8 threads that made {predictions} predictions");

        Thread Start(Action work)
        {
            var thread = new Thread(() =>
            {
                try
                {
                    work();
                }
                catch (Exception e)
                {
                    failures.Enqueue(e); // asserted on below
                }
            });
            thread.Start();
            return thread;
        }
    }

    private void Watch(string what, Action warmUp, Action work, bool countsTensors = true)
    {
        warmUp();
        HeldMemory before = HeldMemory.Now();
        long began = Stopwatch.GetTimestamp();
        work();
        TimeSpan took = Stopwatch.GetElapsedTime(began);
        HeldMemory after = HeldMemory.Now();
        output.WriteLine($"{what}: before {before}; after {after}; {took.TotalSeconds:f0} s");
        (countsTensors ? after : after with { Tensors = before.Tensors }).RequireNoMoreThan(before);
    }

    private void ByEngine(DplTransformer transformer, int count)
    {
        using PredictionEngine<LabelledImage, Answer> engine = Engine(transformer);
        var answer = new Answer();
        for (int i = 0; i < count; i++)
        {
            engine.Predict(images.Test[i % images.Test.Count], ref answer);
            Assert.Equal(3, answer.Score.Length);
        }
    }

    private void ByCursor(DplTransformer transformer, int count)
    {
        IDataView scored = transformer.Transform(
            _mlContext.Data.LoadFromEnumerable(Enumerable.Range(0, count).Select(i => images.Test[i % images.Test.Count]))
        );
        using DataViewRowCursor cursor = scored.GetRowCursor([scored.Schema["Score"], scored.Schema["PredictedLabel"]]);
        ValueGetter<VBuffer<float>> score = cursor.GetGetter<VBuffer<float>>(scored.Schema["Score"]);
        ValueGetter<ReadOnlyMemory<char>> label = cursor.GetGetter<ReadOnlyMemory<char>>(scored.Schema["PredictedLabel"]);
        VBuffer<float> values = default;
        ReadOnlyMemory<char> name = default;
        int rows = 0;
        for (; cursor.MoveNext(); rows++)
        {
            score(ref values);
            label(ref name);
            Assert.False(name.IsEmpty);
        }
        Assert.Equal(count, rows);
    }

    private float[] First(DplTransformer transformer) =>
        transformer.Transform(_mlContext.Data.LoadFromEnumerable(images.Test.Take(1))).GetColumn<float[]>("Score").Single();

    private float[][] Scores(DplTransformer transformer) =>
        [.. transformer.Transform(_mlContext.Data.LoadFromEnumerable(images.Test)).GetColumn<float[]>("Score")];

    private PredictionEngine<LabelledImage, Answer> Engine(DplTransformer transformer) =>
        _mlContext.Model.CreatePredictionEngine<LabelledImage, Answer>(transformer);

    private DplTransformer Fit() =>
        _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(
                new DplTrainer.Options
                {
                    Backbone = small.Backbone,
                    ImageColumnName = "ImagePath",
                    Configuration = PromptConfiguration.Uniform(small.Backbone, 1),
                    Training = { Epochs = 1, BatchSize = 9 },
                }
            )
            .Fit(_mlContext.Data.LoadFromEnumerable(images.Train));

    private sealed class Answer
    {
        public string PredictedLabel { get; set; } = "";

        public float[] Score { get; set; } = [];
    }
}
