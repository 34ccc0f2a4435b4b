using Google.Protobuf;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Onnx;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.OnnxRuntime;
using Onnx;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Onnx;

/// <summary>
/// Compares images of any size and shape prepared by the graph's nodes in ONNX Runtime with the library's. The two resizes compute their
/// weights in different precisions: occasionally a pixel differs by one level of 255, or by two where both passes round differently. A crop
/// or a size that is off by one would make most pixels differ.
/// </summary>
public sealed class OnnxImageTests
{
    private const int Levels = 2;
    private const double Share = 0.04;

    [Theory]
    [InlineData(24, 24, 24, 24)] // unchanged
    [InlineData(24, 24, 24, 57)]
    [InlineData(24, 24, 320, 211)]
    [InlineData(24, 24, 97, 640)]
    [InlineData(24, 24, 7, 5)] // enlarged
    [InlineData(24, 24, 25, 24)] // half a pixel to crop
    [InlineData(24, 24, 27, 24)] // one and a half pixels to crop
    [InlineData(24, 24, 500, 31)]
    [InlineData(24, 24, 1, 1)]
    [InlineData(24, 24, 5, 5000)] // only the middle part of a line
    [InlineData(24, 24, 3000, 2)]
    [InlineData(24, 24, 64, 2)] // just short of a line
    [InlineData(24, 24, 2, 65)] // one pixel longer, and odd
    [InlineData(29, 24, 80, 60)]
    [InlineData(31, 24, 60, 80)]
    [InlineData(224, 224, 500, 375)]
    public void They_are_the_same_within_a_level(int shortSide, int cropSize, int width, int height)
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        var config = new ClipImageProcessorConfig(shortSide, cropSize, [0.48f, 0.46f, 0.4f], [0.27f, 0.26f, 0.28f]);
        byte[] rgb = Smooth(width, height);
        var processor = new ClipImageProcessor(config);
        float[] expected = processor
            .Normalise(tensor(processor.Prepare(new RgbImage(width, height, rgb)), [1, 3, cropSize, cropSize], ScalarType.Byte))
            .data<float>()
            .ToArray();
        float[] actual = Prepared(config, rgb, width, height);
        Assert.Equal(expected.Length, actual.Length);
        double[] apart =
        [
            .. expected
                .Zip(actual, (a, b) => Math.Abs(a - b))
                .Select((difference, at) => difference * config.Deviation[at / (cropSize * cropSize)] * 255),
        ];
        Assert.True(
            apart.Max() < Levels + 0.01 && apart.Count(levels => levels > 0.01) <= Share * apart.Length,
            $"{apart.Count(levels => levels > 0.01)} of {apart.Length} differ, by up to {apart.Max()} levels"
        );
    }

    /// <summary>If a line of 1 × 20,000 pixels were resized as a whole, it would have 448 times as many columns in memory.</summary>
    [Theory]
    [InlineData(1, 20_000, 32 * 24, 24)]
    [InlineData(20_001, 2, 24, 31 * 24 + 12)]
    [InlineData(64, 2, 24, 32 * 24)]
    [InlineData(500, 375, 24, 32)]
    public void Lines_do_not_outgrow_memory(int width, int height, int rows, int columns)
    {
        var graph = new OnnxGraph("image", OnnxImage.Opset);
        graph.Input(OnnxImageModel.Image, "", TensorProto.Types.DataType.Uint8, "height", "width", 3);
        OnnxImage.Prepare(graph, OnnxImageModel.Image, ClipImageProcessorConfig.Default(24));
        var size = new TypeProto
        {
            TensorType = new TypeProto.Types.Tensor { ElemType = (int)TensorProto.Types.DataType.Int64, Shape = new TensorShapeProto() },
        };
        size.TensorType.Shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimValue = 2 });
        graph.Graph.Output.Add(new ValueInfoProto { Name = "image.resized.size", Type = size });
        Assert.Equal(new long[] { rows, columns }, Run<long>(graph, new byte[width * height * 3], width, height, "image.resized.size"));
    }

    private static float[] Prepared(ClipImageProcessorConfig config, byte[] rgb, int width, int height)
    {
        var graph = new OnnxGraph("image", OnnxImage.Opset);
        graph.Input(OnnxImageModel.Image, "", TensorProto.Types.DataType.Uint8, "height", "width", 3);
        string prepared = OnnxImage.Prepare(graph, OnnxImageModel.Image, config);
        graph.Output(prepared, "", 1, 3, config.CropSize, config.CropSize);
        return Run<float>(graph, rgb, width, height, prepared);
    }

    private static T[] Run<T>(OnnxGraph graph, byte[] rgb, int width, int height, string value)
        where T : unmanaged
    {
        var model = new ModelProto { IrVersion = OnnxImageModel.IrVersion, Graph = graph.Graph };
        model.OpsetImport.Add(new OperatorSetIdProto { Version = OnnxImage.Opset });
        using var session = new InferenceSession(model.ToByteArray());
        using var run = new RunOptions();
        using OrtValue input = OrtValue.CreateTensorValueFromMemory(rgb, [height, width, 3]);
        using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(run, [OnnxImageModel.Image], [input], [value]);
        return outputs[0].GetTensorDataAsSpan<T>().ToArray();
    }

    /// <summary>Waves of all lengths, different in each colour channel.</summary>
    private static byte[] Smooth(int width, int height) =>
        [
            .. Enumerable
                .Range(0, height * width * 3)
                .Select(i =>
                {
                    (int x, int y, int channel) = (i / 3 % width, i / 3 / width, i % 3);
                    return (byte)(127.5 + 127 * Math.Sin((x * (channel + 1) + y * y / 40.0 + x * y / 97.0) / 9));
                }),
        ];
}
