using System.Reflection;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.OnnxRuntime;

namespace Microsoft.ML;

/// <summary>Loading for ONNX Runtime by name.</summary>
public static class DplOnnxRuntimeCatalog
{
    /// <summary>Loads a model as <c>Model.Load</c> does, to be scored by ONNX Runtime even where libtorch is at hand, and with options of
    /// one's own, also beside another version of TorchSharp or none. Without such a wish <c>Model.Load</c> does.</summary>
    /// <param name="catalog">What saves and loads models: <c>mlContext.Model</c>.</param>
    /// <param name="filePath">A zip whose models of this library were saved with CLIP's image tower or a graph
    /// (<see cref="ModelContents.WithImageTower"/>, <see cref="ModelContents.WithOnnx"/>; of an embedding
    /// <see cref="ClipEmbeddingTransformer.CarriesClip"/>), alone or in a pipeline.</param>
    /// <param name="inputSchema">The columns that the model reads; null where the zip does not say.</param>
    /// <param name="options">How ONNX Runtime is to score; null: as it does by itself.</param>
    /// <returns>A pipeline with a <see cref="DplOnnxTransformer"/> or <see cref="ClipOnnxEmbeddingTransformer"/> in it, or that
    /// transformer.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The options ask for less than one thread, or a precision that there is
    /// not.</exception>
    /// <exception cref="IOException">The file is missing or cannot be read.</exception>
    /// <exception cref="InvalidDataException">It is no model, or damaged; the message names the file and, of a part of the zip, the
    /// entry.</exception>
    /// <exception cref="InvalidOperationException">A model in it was saved with neither, or with a graph of another precision than the one
    /// asked for.</exception>
    /// <exception cref="NotSupportedException">Its tower is larger than the 2 GB that a graph can have.</exception>
    public static ITransformer LoadWithOnnxRuntime(
        this ModelOperationsCatalog catalog,
        string filePath,
        out DataViewSchema? inputSchema,
        DplOnnxRuntimeOptions? options = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentException.ThrowIfNullOrWhiteSpace(filePath);
        if (options?.Threads < 1)
            throw new ArgumentOutOfRangeException(nameof(options), options.Threads, "A forward pass needs at least one thread.");
        if (options?.Precision is { } precision && !Enum.IsDefined(precision))
            throw new ArgumentOutOfRangeException(nameof(options), precision, "There is no such precision.");
        DataViewSchema? schema = null;
        ITransformer loaded = LoadedZip.Open(filePath, () =>
            ScoringBackend.Using(new OnnxBackend(options ?? new DplOnnxRuntimeOptions()), () => Load(catalog, filePath, out schema))
        );
        inputSchema = schema;
        return loaded;
    }

    /// <summary>Loads the classifier of a model zip as what it is, to be scored by ONNX Runtime: <see cref="LoadWithOnnxRuntime"/> gives a
    /// chain where a pipeline was saved.</summary>
    /// <param name="catalog">What saves and loads models: <c>mlContext.Model</c>.</param>
    /// <param name="filePath">As for <see cref="LoadWithOnnxRuntime"/>, with one classifier of this library in it.</param>
    /// <param name="options">How ONNX Runtime is to score; null: as it does by itself.</param>
    /// <returns>The classifier alone, without what stands before and after it in a pipeline: it reads its own image column, or an image
    /// given to <see cref="DplOnnxTransformer.Predict(string)"/>. The caller disposes it.</returns>
    /// <inheritdoc cref="LoadWithOnnxRuntime"/>
    public static DplOnnxTransformer LoadDplWithOnnxRuntime(
        this ModelOperationsCatalog catalog,
        string filePath,
        DplOnnxRuntimeOptions? options = null
    ) => LoadedZip.Only<DplOnnxTransformer>(catalog.LoadWithOnnxRuntime(filePath, out _, options), filePath);

    private static ITransformer Load(ModelOperationsCatalog catalog, string filePath, out DataViewSchema? schema)
    {
        try
        {
            return catalog.Load(filePath, out schema);
        }
        catch (Exception e) when (e.GetBaseException() is ReflectionTypeLoadException)
        {
            // ML.NET registers the library's components and then goes over all of its types, those of training too, which TorchSharp
            // belongs to. Once registered they are not looked at again, so where its version is another the second time succeeds.
            return catalog.Load(filePath, out schema);
        }
    }
}
