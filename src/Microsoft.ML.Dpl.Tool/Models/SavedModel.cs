namespace Microsoft.ML.Dpl.Tool.Models;

/// <summary>A model of the library taken out of a saved ML.NET model.</summary>
internal sealed class SavedModel : IDisposable
{
    private SavedModel(DplTransformer transformer) => Transformer = transformer;

    /// <summary>The classifier alone: it reads paths of images, whatever stands before it in the pipeline.</summary>
    public DplTransformer Transformer { get; }

    /// <param name="mlContext">Chooses the device.</param>
    /// <param name="path">The zip.</param>
    /// <exception cref="IOException">There is no such file, or the model's CLIP was not found.</exception>
    /// <exception cref="InvalidDataException">It holds no model of this library, or is damaged.</exception>
    public static SavedModel Load(MLContext mlContext, string path)
    {
        Check(path);
        return new SavedModel(mlContext.Model.LoadDpl(path));
    }

    /// <summary>Looks at a zip before it is loaded: ML.NET unpacks whatever it claims, and names neither the file nor what is wrong with
    /// it.</summary>
    /// <inheritdoc cref="Load"/>
    public static ModelInfo Check(string path)
    {
        if (!File.Exists(path))
            throw new FileNotFoundException($"There is no model '{path}'.", path);
        ModelZip.Check(path);
        return ModelInfo.Read(path);
    }

    public void Dispose() => Transformer.Dispose();
}
