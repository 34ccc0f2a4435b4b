using System.Globalization;
using Microsoft.ML.Dpl.Runtime;
using Onnx;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>Writes a model as one file, or as two if it is too large for one.</summary>
/// <param name="Bytes">Approximate size in bytes of the model with all its constants.</param>
/// <param name="Create">Creates the model; its large constants are written to the argument, or stored in the model if that is null.</param>
internal sealed record OnnxModelFile(long Bytes, Func<OnnxData?, ModelProto> Create)
{
    /// <summary>Appended to the model's file name to get the name of the file with its weights.</summary>
    private const string DataExtension = ".data";

    /// <summary>Writes the model, with its weights in the same file unless <paramref name="externalData"/> is set or the file would have
    /// more than <paramref name="largest"/> bytes.</summary>
    public void Write(string path, bool externalData, long largest)
    {
        if (!externalData && Bytes <= largest)
        {
            ModelProto model = Create(null);
            WholeFile.Write(path, stream => OnnxImageModel.Write(model, stream));
            return;
        }
        string beside = path + DataExtension;
        // Both files are complete before either is renamed to its final name, the weights first.
        WholeFile.Write(path, stream =>
            WholeFile.Write(beside, weights => OnnxImageModel.Write(Create(new OnnxData(weights, Path.GetFileName(beside))), stream))
        );
    }

    /// <summary>Writes the model as a single file of at most <paramref name="largest"/> bytes.</summary>
    /// <exception cref="NotSupportedException">The model is larger.</exception>
    public void Write(Stream stream, long largest)
    {
        if (Bytes > largest)
            throw new NotSupportedException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"In one piece this model would have about {Bytes / 1e9:f1} GB, but ONNX allows {largest / 1e9:f1} GB at most. "
                        + $"Give {nameof(DplOnnx.SaveAsOnnx)} a path: the weights then go into a second file."
                )
            );
        OnnxImageModel.Write(Create(null), stream);
    }
}
