using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl;

/// <summary>Writes a model's graph for ONNX Runtime into its zip; the package <c>Microsoft.ML.Dpl.Onnx</c> has one.</summary>
internal interface IOnnxWriter
{
    /// <param name="transformer">Says how images are prepared and where the model comes from.</param>
    /// <param name="classifier">Its own; only read.</param>
    /// <param name="stream">Written from its position on and left open; need not seek.</param>
    /// <exception cref="NotSupportedException">The graph is larger than one ONNX file can be.</exception>
    void Write(DplTransformer transformer, FoldedClassifier classifier, Stream stream);
}

/// <summary>Finds the writer.</summary>
internal static class OnnxWriter
{
    private const string Package = "Microsoft.ML.Dpl.Onnx",
        TypeName = "Microsoft.ML.Dpl.Onnx.OnnxEntryWriter";

    /// <exception cref="InvalidOperationException">The application does not reference its package.</exception>
    public static IOnnxWriter Find() =>
        Companion.Find<IOnnxWriter>(Package, TypeName)
        ?? throw new InvalidOperationException(
            $"{nameof(ModelContents)}.{nameof(ModelContents.WithOnnx)} needs the package {Package}, which writes the graph: add it "
                + "to the application's project, or choose other contents."
        );
}
