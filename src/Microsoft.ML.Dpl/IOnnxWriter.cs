using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl;

/// <summary>Writes a model's graph for ONNX Runtime into its zip; implemented by the package <c>Microsoft.ML.Dpl.Onnx</c>.</summary>
internal interface IOnnxWriter
{
    /// <param name="transformer">The model; describes how images are prepared and where the model comes from.</param>
    /// <param name="classifier">The transformer's own classifier; only read.</param>
    /// <param name="stream">Written from its current position and left open; need not be seekable.</param>
    /// <exception cref="NotSupportedException">The graph is larger than one ONNX file can be.</exception>
    void Write(DplTransformer transformer, FoldedClassifier classifier, Stream stream);
}

/// <summary>Finds the writer in its package.</summary>
internal static class OnnxWriter
{
    private const string Package = "Microsoft.ML.Dpl.Onnx",
        TypeName = "Microsoft.ML.Dpl.Onnx.OnnxEntryWriter";

    /// <exception cref="InvalidOperationException">The application does not reference the package.</exception>
    public static IOnnxWriter Find() =>
        Companion.Find<IOnnxWriter>(Package, TypeName)
        ?? throw new InvalidOperationException(
            $"{nameof(ModelContents)}.{nameof(ModelContents.WithOnnx)} needs the package {Package}, which writes the graph: add it "
                + "to the application's project, or choose other contents."
        );
}
