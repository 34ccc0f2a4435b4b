using System.Runtime.CompilerServices;
using Microsoft.Extensions.ObjectPool;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>A prediction engine disposes its model along with itself. Where engines come and go, one per request or from a pool, the model
/// must stay usable for the others.</summary>
[Collection(RunsAlone.Name)]
public sealed class EngineShareTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new(1);

    [Fact]
    public void One_engine_for_each_request_leaves_the_model_to_the_next()
    {
        DplTransformer model = Fit();
        float[] expected = Answered(model);
        for (int request = 0; request < 5; request++)
            Assert.Equal(expected, Answered(model));
        // As in a web application: several engines at a time, in any order.
        Parallel.For(0, 24, _ => Assert.Equal(expected, Answered(model)));
        model.Dispose();
        RequireFreed(model);
    }

    /// <summary>ML.NET loads a transformer chain, which passes on only the first Dispose of any engine: it must not dispose the model of
    /// the other engines, and the garbage collector frees the model in the end.</summary>
    [Fact]
    public void Engines_of_a_loaded_pipeline_share_it_too()
    {
        byte[] zip = SavedPipeline();
        UseAndForget(zip);
        Collect();
        long before = Tensor.TotalCount;
        for (int i = 0; i < 3; i++)
            UseAndForget(zip);
        Collect();
        Assert.InRange(Tensor.TotalCount - before, long.MinValue, 0);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void UseAndForget(byte[] zip)
    {
        ITransformer loaded = new MLContext().Knowing(small.Backbone).Model.Load(new MemoryStream(zip), out _);
        float[] expected = Answered(loaded);
        for (int request = 0; request < 3; request++)
            Assert.Equal(expected, Answered(loaded));
    }

    private byte[] SavedPipeline()
    {
        using var zip = new MemoryStream();
        using (DplTransformer trained = Fit())
        {
            IDataView data = _mlContext.Data.LoadFromEnumerable(images.Train);
            ITransformer copy = _mlContext.Transforms.CopyColumns("Copy", "Label").Fit(data);
            _mlContext.Model.Save(copy.Append(trained), data.Schema, zip);
        }
        return zip.ToArray();
    }

    private static void Collect()
    {
        // One finalizer releases the share; only the next collection can then free its tensors.
        for (int i = 0; i < 4; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }

    /// <summary>A pool that retains one engine disposes all others when they are returned.</summary>
    [Fact]
    public void A_pool_of_objects_that_keeps_few_engines_disposes_no_model()
    {
        DplTransformer model = Fit();
        float[] expected = Answered(model);
        ObjectPool<PredictionEngine<LabelledImage, Answer>> pool = new DefaultObjectPoolProvider { MaximumRetained = 1 }.Create(
            new Engines(_mlContext, model)
        );
        for (int round = 0; round < 3; round++)
        {
            PredictionEngine<LabelledImage, Answer>[] taken = [pool.Get(), pool.Get(), pool.Get()];
            foreach (PredictionEngine<LabelledImage, Answer> engine in taken)
            {
                Assert.Equal(expected, engine.Predict(images.Test[0]).Score);
                pool.Return(engine);
            }
        }
        // The engine in the pool still works after the owner has disposed the model.
        model.Dispose();
        PredictionEngine<LabelledImage, Answer> last = pool.Get();
        Assert.Equal(expected, last.Predict(images.Test[0]).Score);
        pool.Return(last);
        ((IDisposable)pool).Dispose();
        RequireFreed(model);
        Assert.Throws<ObjectDisposedException>(() => last.Predict(images.Test[0]));
    }

    [Fact]
    public void An_owner_that_lets_go_first_ends_nothing_and_a_late_engine_is_refused()
    {
        DplTransformer model = Fit();
        using (PredictionEngine<LabelledImage, Answer> engine = Engine(model))
        {
            model.Dispose();
            Assert.Equal(3, engine.Predict(images.Test[0]).Score.Length);
        }
        using PredictionEngine<LabelledImage, Answer> late = Engine(model);
        Assert.Throws<ObjectDisposedException>(() => late.Predict(images.Test[0]));
        model.Dispose();
    }

    private static void RequireFreed(DplTransformer model) => Assert.Throws<ObjectDisposedException>(() => model.ExportPrompts());

    private float[] Answered(ITransformer model)
    {
        using PredictionEngine<LabelledImage, Answer> engine = Engine(model);
        return engine.Predict(images.Test[0]).Score;
    }

    private PredictionEngine<LabelledImage, Answer> Engine(ITransformer model) =>
        _mlContext.Model.CreatePredictionEngine<LabelledImage, Answer>(model);

    private DplTransformer Fit() =>
        _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(
                small.Backbone,
                imageColumnName: "ImagePath",
                configuration: PromptConfiguration.ZeroShot(small.Backbone)
            )
            .Fit(_mlContext.Data.LoadFromEnumerable(images.Train));

    private sealed class Engines(MLContext mlContext, ITransformer model) : PooledObjectPolicy<PredictionEngine<LabelledImage, Answer>>
    {
        public override PredictionEngine<LabelledImage, Answer> Create() =>
            mlContext.Model.CreatePredictionEngine<LabelledImage, Answer>(model);

        public override bool Return(PredictionEngine<LabelledImage, Answer> obj) => true;
    }

    private sealed class Answer
    {
        public float[] Score { get; set; } = [];
    }
}
