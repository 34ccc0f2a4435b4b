using System.Globalization;
using Microsoft.ML.Dpl.Network;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>Writes the ONNX graph of a model zip. The library finds this type by its name.</summary>
internal sealed class OnnxEntryWriter : IOnnxWriter
{
    public void Write(DplTransformer transformer, FoldedClassifier classifier, Stream stream)
    {
        var form = new DplOnnx.Form(Precision: transformer.OnnxPrecision);
        ClassifierArrays arrays = ClassifierArrays.From(classifier);
        long bytes = OnnxClassifier.SizeOf(arrays, form.Precision);
        if (bytes > OnnxImageModel.LargestModel)
            throw new NotSupportedException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The model's ONNX graph would have about {bytes / 1e9:f1} GB, but an ONNX file can have at most "
                        + $"{OnnxImageModel.LargestModel / 1e9:f1} GB. Choose other contents for its zip, or another "
                        + $"{nameof(DplTransformer.OnnxPrecision)}."
                )
            );
        OnnxImageModel.Write(OnnxClassifier.Create(arrays, OnnxMetadata.Create(transformer, form), precision: form.Precision), stream);
    }
}
