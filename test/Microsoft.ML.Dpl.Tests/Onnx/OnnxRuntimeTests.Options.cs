using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.Tests.Onnx;

// The options that a caller may set.
public sealed partial class OnnxRuntimeTests
{
    [Fact]
    public void ONNX_Runtime_gets_the_options()
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1");
        int threads = 0;
        using var light = (DplOnnxTransformer)
            _mlContext.Model.LoadWithOnnxRuntime(
                Save(trained),
                out _,
                new DplOnnxRuntimeOptions { Threads = 2, Configure = session => threads = session.IntraOpNumThreads }
            );
        Assert.Equal(2, threads);
    }

    [Fact]
    public void A_graph_of_fewer_bits_is_made_of_the_tower_on_request()
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1", o => o.ModelContents = ModelContents.WithImageTower);
        string zip = Save(trained);
        float[][] expected = Scores(trained, Test);
        foreach (var (precision, tolerance) in new[] { (OnnxPrecision.Float16, 0.01f), (OnnxPrecision.Int8, 0.1f) })
        {
            var options = new DplOnnxRuntimeOptions { Precision = precision };
            using DplOnnxTransformer light = _mlContext.Model.LoadDplWithOnnxRuntime(zip, options);
            float[] differences = [.. Scores(light, Test).Zip(expected, (found, row) => found.Zip(row, (a, b) => MathF.Abs(a - b)).Max())];
            // Not identical, but close.
            Assert.InRange(differences.Max(), 1e-6f, tolerance);
        }
        using DplOnnxTransformer same = _mlContext.Model.LoadDplWithOnnxRuntime(zip, new() { Precision = OnnxPrecision.Float32 });
        RequireSame(trained, same, Test);
    }

    [Fact]
    public void A_graph_that_was_saved_has_the_precision_it_has()
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1", o => o.OnnxPrecision = OnnxPrecision.Int8);
        string zip = Save(trained);
        using (DplOnnxTransformer asItIs = _mlContext.Model.LoadDplWithOnnxRuntime(zip))
        using (DplOnnxTransformer asked = _mlContext.Model.LoadDplWithOnnxRuntime(zip, new() { Precision = OnnxPrecision.Int8 }))
            Assert.Equal(Scores(asItIs, Test), Scores(asked, Test));
        string message = Assert
            .Throws<InvalidOperationException>(() =>
                _mlContext.Model.LoadDplWithOnnxRuntime(zip, new() { Precision = OnnxPrecision.Float32 })
            )
            .Message;
        Assert.Contains("has the precision Int8 and cannot be given Float32", message);
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            _mlContext.Model.LoadDplWithOnnxRuntime(zip, new() { Precision = (OnnxPrecision)7 })
        );
    }

    [Fact]
    public void The_classifier_of_a_pipeline_is_had_as_what_it_is()
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1");
        using var chain = new TransformerChain<ITransformer>()
            .Append(trained)
            .Append(_mlContext.Transforms.CopyColumns("Copy", "Score").Fit(trained.Transform(Test)));
        string zip = Save(chain);
        using DplOnnxTransformer light = _mlContext.Model.LoadDplWithOnnxRuntime(zip);
        RequireSame(trained, light, Test);
        Assert.Equal(trained.Predict(images.Test[0].ImagePath).Label, light.Predict(images.Test[0].ImagePath).Label);

        string none = Save(_mlContext.Transforms.CopyColumns("Copy", "ImagePath").Fit(Test));
        Assert.Contains(
            "holds no model of Differentiable Prompt Learning; it consists of ColumnCopyingTransformer",
            Assert.Throws<InvalidDataException>(() => _mlContext.Model.LoadDplWithOnnxRuntime(none)).Message
        );
    }
}
