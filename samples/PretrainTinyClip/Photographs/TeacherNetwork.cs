using Microsoft.ML.Dpl.Images;
using Microsoft.ML.OnnxRuntime;

namespace PretrainTinyClip.Photographs;

/// <summary>The teacher of an image tower: a network that computes a feature map of an image. Not thread-safe; use one instance per
/// thread.</summary>
internal interface ITeacher : IDisposable
{
    /// <summary>Side of the feature map in cells.</summary>
    const int Grid = 7;

    /// <summary>Number of features per cell.</summary>
    const int Width = 512;

    /// <param name="pixels">Pixels [side, side, 3] in the order red, green, blue.</param>
    /// <param name="side">Side of the image in pixels, at least 1.</param>
    /// <returns>Feature map [grid², width].</returns>
    float[] Features(byte[] pixels, int side);
}

/// <summary>
/// ResNet-18 (He et al. 2016, arXiv 1512.03385) from the package Microsoft.ML.DnnImageFeaturizer.ResNet18, run by ONNX Runtime on one
/// thread; its features are those before the final pooling.
/// </summary>
internal sealed class TeacherNetwork : ITeacher
{
    private const int Side = 224,
        Grid = ITeacher.Grid,
        Width = ITeacher.Width;

    private const string Input = "Input247",
        Map = "ReLU393_Output_0";

    // The mean image of the package's preprocessing is nearly constant, so one value per channel suffices.
    private static readonly float[] MeanOfBlueGreenRed = [114.4f, 110.6f, 104.6f];

    private readonly InferenceSession _session;
    private readonly float[] _input = new float[3 * Side * Side];

    /// <param name="onnx">The bytes of ResNet18.onnx.</param>
    public TeacherNetwork(byte[] onnx)
    {
        using var options = new SessionOptions { IntraOpNumThreads = 1, InterOpNumThreads = 1 };
        _session = new InferenceSession([.. onnx, .. MapAsOutput()], options);
    }

    /// <inheritdoc/>
    public float[] Features(byte[] pixels, int side)
    {
        var whole = new PixelArea(0, 0, Side, Side);
        byte[] resized = CropResize.Resize(new RgbImage(side, side, pixels), new PixelArea(0, 0, side, side), Side, Side, whole);
        for (int channel = 0; channel < 3; channel++)
        for (int i = 0; i < Side * Side; i++)
            _input[channel * Side * Side + i] = resized[i * 3 + 2 - channel] - MeanOfBlueGreenRed[channel];
        using OrtValue input = OrtValue.CreateTensorValueFromMemory(_input, [1, 3, Side, Side]);
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> outputs = _session.Run(run, [Input], [input], [Map]);
        ReadOnlySpan<float> planes = outputs[0].GetTensorDataAsSpan<float>(); // [width, grid²]
        var map = new float[Grid * Grid * Width];
        for (int i = 0; i < Grid * Grid; i++)
        for (int c = 0; c < Width; c++)
            map[i * Width + c] = planes[c * Grid * Grid + i];
        return map;
    }

    public void Dispose() => _session.Dispose();

    /// <summary>A serialized model whose graph contains only an additional output: concatenated protobuf messages are merged when
    /// parsed.</summary>
    private static byte[] MapAsOutput()
    {
        byte[] name = System.Text.Encoding.ASCII.GetBytes(Map);
        static byte[] Field(int number, byte[] content) => [(byte)(number << 3 | 2), (byte)content.Length, .. content];
        byte[] tensor = [0x08, 0x01]; // elem_type: float
        byte[] value = [.. Field(1, name), .. Field(2, Field(1, tensor))];
        return Field(7, Field(12, value));
    }
}
