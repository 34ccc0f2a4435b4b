using System.Globalization;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Onnx;
using Microsoft.ML.Dpl.Tests.Network;
using Microsoft.ML.OnnxRuntime;
using Onnx;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Onnx;

/// <summary>Compares the exported graph, run by ONNX Runtime, with the library's own tower.</summary>
public sealed class OnnxGraphTests
{
    public static TheoryData<string, int[]> Towers =>
        new()
        {
            { "plain", [2, 1, 3] },
            { "plain", [0, 4, 0] },
            { "plain", [0, 0, 2] },
            { "plain", [0, 0, 0] },
            { "gelu", [1, 0, 2] },
            { "odd", [3] },
            { "odd", [0] },
            { "wide", [1, 6] },
        };

    [Theory]
    [MemberData(nameof(Towers))]
    public void Logits_are_those_of_the_tower(string shape, int[] lengths)
    {
        using var tower = new RandomTower(RandomTower.ShapeOf(shape), lengths);
        RequireSameLogits(tower);
    }

    public static TheoryData<string, int[]> Mixtures =>
        new()
        {
            { "plain", [0, 2, 4, 6] },
            { "plain", [0, 3] },
            { "gelu", [0, 1, 5] },
            { "odd", [0, 2, 4] },
            { "wide", [0, 1, 2, 3, 4, 5, 6] },
        };

    [Theory]
    [MemberData(nameof(Mixtures))]
    public void Logits_of_a_mixture_are_those_of_the_tower(string shape, int[] candidates)
    {
        using var tower = RandomTower.WithMixture(RandomTower.ShapeOf(shape), candidates);
        RequireSameLogits(tower);
    }

    private static void RequireSameLogits(RandomTower tower)
    {
        foreach (GraphOptimizationLevel level in new[] { GraphOptimizationLevel.ORT_ENABLE_ALL, GraphOptimizationLevel.ORT_DISABLE_ALL })
        {
            using var model = new OnnxModel(tower.Written(), level);
            foreach (int batch in new[] { 1, 3 })
            {
                using var scope = NewDisposeScope();
                Tensor images = tower.Images(batch),
                    expected = tower.Classifier.Logits(images);
                var (logits, probabilities) = model.Score(images.data<float>().ToArray(), images.shape);
                RequireClose(expected, logits, 1e-5);
                RequireClose(expected.softmax(-1), probabilities, 1e-4);
                Assert.All(probabilities.Chunk(RandomTower.Classes), row => Assert.Equal(1, row.Sum(), 1e-5f));
            }
        }
    }

    /// <summary>The rules of the ONNX checker: values are defined before they are used, names are unique, no constant or node is
    /// unused.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_graph_is_in_order(bool mixes)
    {
        using RandomTower tower = mixes
            ? RandomTower.WithMixture(RandomTower.ShapeOf("gelu"), [0, 1, 2])
            : new(RandomTower.ShapeOf("gelu"), [1, 0, 2]);
        ModelProto model = ModelProto.Parser.ParseFrom(tower.Written());
        Assert.Equal((8L, 17L), (model.IrVersion, Assert.Single(model.OpsetImport).Version));
        Assert.Equal(["logits", "probabilities"], model.Graph.Output.Select(output => output.Name));
        GraphProto graph = model.Graph;
        var known = new HashSet<string>(StringComparer.Ordinal);
        foreach (string name in graph.Input.Select(i => i.Name).Concat(graph.Initializer.Select(i => i.Name)))
            Assert.True(known.Add(name), name);
        foreach (NodeProto node in graph.Node)
        {
            Assert.All(node.Input, input => Assert.Contains(input, known));
            Assert.True(known.Add(Assert.Single(node.Output)), node.Name);
        }
        HashSet<string> used = [.. graph.Node.SelectMany(node => node.Input), .. graph.Output.Select(output => output.Name)];
        Assert.Empty(known.Except(used));
        Assert.All(graph.Initializer, constant =>
            Assert.Equal(
                constant.Dims.Aggregate(
                    constant.DataType == (int)TensorProto.Types.DataType.Float ? sizeof(float) : sizeof(long),
                    (size, dimension) => size * (int)dimension
                ),
                constant.RawData.Length
            )
        );
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_models_size_is_known_before_it_is_made(bool mixes)
    {
        using RandomTower tower = mixes
            ? RandomTower.WithMixture(RandomTower.ShapeOf("plain"), [0, 400, 500])
            : new(RandomTower.ShapeOf("plain"), [2, 1, 3]);
        int written = tower.Written().Length;
        Assert.InRange(
            OnnxClassifier.SizeOf(ClassifierArrays.From(tower.Classifier), OnnxPrecision.Float32),
            written,
            written + (16 << 20)
        );
        Assert.Equal(int.MaxValue, OnnxImageModel.LargestModel);
    }

    /// <summary>ONNX's specification of external data: the file is referenced by its name, offsets are multiples of 64 KiB so that they can
    /// be memory-mapped, and data do not overlap and have only zero padding between them.</summary>
    [Fact]
    public void Large_constants_can_lie_outside()
    {
        using var tower = new RandomTower(RandomClip.Shape(imageWidth: 160, imageHeads: 4), [2, 1, 3]);
        using var stream = new MemoryStream();
        ModelProto outside = OnnxClassifier.Create(
                ClassifierArrays.From(tower.Classifier),
                [],
                data: new OnnxData(stream, "model.onnx.data")
            ),
            inside = OnnxClassifier.Create(ClassifierArrays.From(tower.Classifier), []);
        byte[] data = stream.ToArray();
        long end = 0;
        int moved = 0;
        foreach (var (expected, actual) in inside.Graph.Initializer.Zip(outside.Graph.Initializer))
        {
            byte[] bytes = expected.RawData.ToByteArray();
            if (bytes.Length >= 65536)
            {
                moved++;
                Dictionary<string, string> where = actual.ExternalData.ToDictionary(entry => entry.Key, entry => entry.Value);
                Assert.Equal(["length", "location", "offset"], where.Keys.Order());
                long offset = long.Parse(where["offset"], CultureInfo.InvariantCulture);
                Assert.Equal(
                    ("model.onnx.data", bytes.Length, 0L),
                    (where["location"], int.Parse(where["length"], CultureInfo.InvariantCulture), offset % 65536)
                );
                Assert.InRange(offset, end, end + 65535);
                Assert.True(data.AsSpan((int)end, (int)(offset - end)).IndexOfAnyExcept((byte)0) < 0, actual.Name);
                Assert.Equal(bytes, data.AsSpan((int)offset, bytes.Length).ToArray());
                end = offset + bytes.Length;
                Assert.Equal(TensorProto.Types.DataLocation.External, actual.DataLocation);
                Assert.True(actual.RawData.IsEmpty);
                actual.ExternalData.Clear();
                (actual.RawData, actual.DataLocation) = (expected.RawData, expected.DataLocation);
            }
            Assert.Equal(expected, actual);
        }
        Assert.Equal(data.Length, end);
        Assert.InRange(moved, 12, 18);
        Assert.Equal(inside, outside);
    }

    [Fact]
    public void A_cancelled_graph_ends_at_the_next_constant()
    {
        using var tower = new RandomTower(RandomTower.ShapeOf("plain"), [2, 1, 3]);
        using var source = new CancellationTokenSource();
        source.Cancel();
        Assert.Throws<OperationCanceledException>(() =>
            OnnxClassifier.Create(ClassifierArrays.From(tower.Classifier), [], cancellationToken: source.Token)
        );
    }

    [Fact]
    public void Padding_has_no_nodes()
    {
        using var tower = new RandomTower(RandomTower.ShapeOf("plain"), [0, 0, 0]);
        var padding = new ClipImageProcessorConfig(10, 20, [0, 0, 0], [1, 1, 1]);
        string message = Assert
            .Throws<NotSupportedException>(() => OnnxClassifier.Create(ClassifierArrays.From(tower.Classifier), [], padding))
            .Message;
        Assert.Contains("pads them to 20", message);
        Assert.Contains("--input pixels", message);
    }

    private static void RequireClose(Tensor expected, float[] actual, double tolerance)
    {
        float[] values = expected.data<float>().ToArray();
        Assert.Equal(values.Length, actual.Length);
        double scale = values.Max(Math.Abs),
            difference = values.Zip(actual, (a, b) => Math.Abs(a - b)).Max();
        Assert.True(difference <= tolerance * scale, $"a difference of {difference} at a scale of {scale}");
    }
}
