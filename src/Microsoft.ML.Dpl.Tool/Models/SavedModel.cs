using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tool.Models;

/// <summary>The library's transformer, loaded from a saved ML.NET model.</summary>
internal sealed class SavedModel : IDisposable
{
    private SavedModel(DplTransformer transformer) => Transformer = transformer;

    /// <summary>The classifier alone, without the transformers that precede it in the pipeline; it takes image paths as input.</summary>
    public DplTransformer Transformer { get; }

    /// <param name="mlContext">The context, which determines the device.</param>
    /// <param name="path">The zip of the saved model.</param>
    /// <exception cref="IOException">The file does not exist, or the model's CLIP was not found.</exception>
    /// <exception cref="InvalidDataException">The file contains no model of this library, or is damaged.</exception>
    public static SavedModel Load(MLContext mlContext, string path)
    {
        Check(path);
        return new SavedModel(mlContext.Model.LoadDpl(path));
    }

    /// <summary>Checks a zip before it is loaded: ML.NET unpacks entries of any size, and its error messages name neither the file nor the
    /// fault.</summary>
    /// <inheritdoc cref="Load"/>
    public static ModelInfo Check(string path)
    {
        if (!File.Exists(path))
            throw new FileNotFoundException($"There is no model '{path}'.", path);
        ModelZip.Check(path);
        return ModelInfo.Read(path);
    }

    /// <summary>Returns the SHA-256 of a zip, in lower-case hexadecimal.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static string Digest(string path)
    {
        using FileStream zip = File.OpenRead(path);
        return Sha256.Compute(zip);
    }

    public void Dispose() => Transformer.Dispose();
}
