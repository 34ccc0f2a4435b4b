using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Tool.Studies.Methods;
using static TorchSharp.torch;

namespace PretrainTinyClip.Photographs;

/// <summary>The teacher of an image tower: a network that computes feature maps of images. Not thread-safe.</summary>
internal interface ITeacher : IDisposable
{
    /// <summary>Side of a feature map in cells.</summary>
    const int Grid = 7;

    /// <summary>Number of features per cell.</summary>
    const int Width = 512;

    /// <param name="images">Square images of any sides.</param>
    /// <returns>Feature maps [images, grid², width] in float32, in the caller's dispose scope.</returns>
    Tensor Features(IReadOnlyList<RgbImage> images);
}

/// <summary>
/// ResNet-18 (He et al. 2016, arXiv 1512.03385) from the package Microsoft.ML.DnnImageFeaturizer.ResNet18; its features are those before
/// the final pooling.
/// </summary>
internal sealed class TeacherNetwork : ITeacher
{
    private const int Side = 224;
    private const string Map = "ReLU393_Output_0";

    // The mean image of the package's preprocessing is nearly constant, so one value per channel suffices.
    private static readonly float[] MeanOfBlueGreenRed = [114.4f, 110.6f, 104.6f];

    private readonly ConvolutionGraph _network;
    private readonly Tensor _mean;

    /// <param name="onnx">The bytes of ResNet18.onnx.</param>
    /// <param name="convolutions">Data type of the convolutions.</param>
    public TeacherNetwork(byte[] onnx, ScalarType convolutions)
    {
        _network = ConvolutionGraph.Read(onnx, CPU, Map, convolutions);
        _mean = tensor(MeanOfBlueGreenRed, [1, 3, 1, 1]).DetachFromDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor Features(IReadOnlyList<RgbImage> images)
    {
        using var scope = NewDisposeScope();
        const int bytes = Side * Side * 3;
        var whole = new PixelArea(0, 0, Side, Side);
        var pixels = new byte[images.Count * bytes];
        Parallel.For(0, images.Count, i =>
        {
            RgbImage image = images[i];
            CropResize.Resize(image, new PixelArea(0, 0, image.Width, image.Height), Side, Side, whole).CopyTo(pixels, i * bytes);
        });
        Tensor planes = tensor(pixels, [images.Count, Side, Side, 3]).permute(0, 3, 1, 2).flip(1).to(ScalarType.Float32) - _mean;
        return _network.Run(planes).flatten(2).transpose(1, 2).contiguous().MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        _network.Dispose();
        _mean.Dispose();
    }
}
