using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Tool.Data;
using Onnx;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>The 512 features that ML.NET's <c>DnnFeaturizeImage</c> computes with ResNet-18. ML.NET itself loads and resizes the images and
/// extracts their pixels, each step with its defaults.</summary>
internal sealed class ResNet18Features : IImageFeatures
{
    private const int Side = 224,
        Batch = 16;

    private readonly MLContext _context;
    private readonly IEstimator<ITransformer> _pixels;
    private readonly ConvolutionGraph _network;
    private readonly Tensor _lessMean; // [1, 3, side, side], blue, green, red
    private readonly Device _device;

    // A field, since a temporary scalar may be freed while libtorch reads it.
    private readonly Scalar _one = 1;

    /// <param name="files">The network's files.</param>
    /// <param name="context">The context of ML.NET's transforms.</param>
    /// <param name="device">cpu, cuda or cuda:n.</param>
    public ResNet18Features(ResNet18Files files, MLContext context, string device)
    {
        (_context, _device) = (context, new Device(device));
        _pixels = context
            .Transforms.LoadImages(nameof(PixelRow.Pixels), imageFolder: null, nameof(ImageRow.ImagePath))
            .Append(context.Transforms.ResizeImages(nameof(PixelRow.Pixels), Side, Side))
            .Append(context.Transforms.ExtractPixels(nameof(PixelRow.Pixels)));
        _network = ConvolutionGraph.Read(File.ReadAllBytes(files.Network), _device);
        TensorProto mean = ModelProto.Parser.ParseFrom(File.ReadAllBytes(files.Preparation)).Graph.Initializer.Single();
        using Tensor row = FeatureTensors.Create([
            [.. mean.FloatData],
        ]);
        using Tensor image = row.reshape(1, 3, Side, Side);
        using Tensor less = image.neg();
        _lessMean = less.to(_device, copy: true).DetachFromDisposeScope();
    }

    public float[][] Images(IReadOnlyList<ImageRow> rows, CancellationToken cancellationToken)
    {
        var all = new List<float[]>();
        foreach (ImageRow[] some in rows.Chunk(Batch))
        {
            cancellationToken.ThrowIfCancellationRequested();
            all.AddRange(Features([.. some.Select(Pixels)]));
        }
        return [.. all];
    }

    public void Dispose()
    {
        _lessMean.Dispose();
        _network.Dispose();
    }

    private float[][] Features(float[][] pixels)
    {
        using var scope = NewDisposeScope();
        using var still = no_grad();
        // Same preprocessing as the package's: reverse the channel order and subtract the mean image.
        Tensor images = FeatureTensors.Create(pixels).to(_device).reshape(pixels.Length, 3, Side, Side).flip(1).add(_lessMean, _one);
        return FeatureTensors.Rows(_network.Run(images).flatten(1).cpu());
    }

    /// <summary>Loads an image as pixels [3 · side · side], channels in the order red, green, blue.</summary>
    private float[] Pixels(ImageRow row)
    {
        try
        {
            IDataView view = _context.Data.LoadFromEnumerable([row]);
            return _pixels.Fit(view).Transform(view).GetColumn<float[]>(nameof(PixelRow.Pixels)).Single();
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            throw new InvalidDataException(
                $"{row.ImagePath}: ML.NET cannot load this image ({Failure.CauseOf(e).Message.TrimEnd('.')}).",
                e
            );
        }
    }

    private sealed class PixelRow
    {
        public float[] Pixels { get; set; } = [];
    }
}
