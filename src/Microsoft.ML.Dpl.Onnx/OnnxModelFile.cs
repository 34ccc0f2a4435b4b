using System.Globalization;
using Microsoft.ML.Dpl.Runtime;
using Onnx;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>Writes a model as one file, or as two where it is too large for one.</summary>
/// <param name="Bytes">What the model has with all constants in itself, about.</param>
/// <param name="Create">Makes the model, whose large constants go where it is told.</param>
internal sealed record OnnxModelFile(long Bytes, Func<OnnxData?, ModelProto> Create)
{
    /// <summary>What stands behind the model's name in that of the file with its weights.</summary>
    private const string DataExtension = ".data";

    /// <summary>Writes the model with its weights in itself where it has at most <paramref name="largest"/> bytes then.</summary>
    public void Write(string path, bool externalData, long largest)
    {
        if (!externalData && Bytes <= largest)
        {
            ModelProto model = Create(null);
            WholeFile.Write(path, stream => OnnxImageModel.Write(model, stream));
            return;
        }
        string beside = path + DataExtension;
        // Both are written before either gets its name, and the weights get theirs first.
        WholeFile.Write(path, stream =>
            WholeFile.Write(beside, weights => OnnxImageModel.Write(Create(new OnnxData(weights, Path.GetFileName(beside))), stream))
        );
    }

    /// <summary>Writes the model, or refuses one of more than <paramref name="largest"/> bytes.</summary>
    /// <exception cref="NotSupportedException">It is larger.</exception>
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
