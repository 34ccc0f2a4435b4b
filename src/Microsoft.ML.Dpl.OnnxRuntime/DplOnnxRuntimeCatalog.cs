using System.Reflection;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.OnnxRuntime;

namespace Microsoft.ML;

/// <summary>Extension methods of <c>mlContext.Model</c> that load models for ONNX Runtime explicitly.</summary>
public static class DplOnnxRuntimeCatalog
{
    /// <summary>Loads a model like <c>Model.Load</c>, but always scores it with ONNX Runtime, even if libtorch is available, and accepts
    /// options. Also works without TorchSharp or with another version of it. Otherwise, <c>Model.Load</c> is sufficient.</summary>
    /// <param name="catalog">The model operations catalog, <c>mlContext.Model</c>.</param>
    /// <param name="filePath">A zip whose models of this library were saved with CLIP's image tower or a graph
    /// (<see cref="ModelContents.WithImageTower"/>, <see cref="ModelContents.WithOnnx"/>; for an embedding,
    /// <see cref="ClipEmbeddingTransformer.CarriesClip"/>), alone or in a pipeline.</param>
    /// <param name="inputSchema">The schema of the model's input; null if the zip does not contain it.</param>
    /// <param name="options">The options for ONNX Runtime; null for the defaults.</param>
    /// <returns>A pipeline that contains a <see cref="DplOnnxTransformer"/> or <see cref="ClipOnnxEmbeddingTransformer"/>, or just that
    /// transformer.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The options specify fewer than one thread, or an undefined precision.</exception>
    /// <exception cref="IOException">The file is missing or cannot be read.</exception>
    /// <exception cref="InvalidDataException">The file is not a model or is damaged; the message names the file and, for a part of the zip,
    /// the entry.</exception>
    /// <exception cref="InvalidOperationException">A model in the zip was saved without image tower and graph, or with a graph of another
    /// precision than the requested one.</exception>
    /// <exception cref="NotSupportedException">The graph of the model's tower would exceed the limit of 2 GB.</exception>
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

    /// <summary>Loads the classifier of a model zip with its own type, for scoring with ONNX Runtime. For a saved pipeline,
    /// <see cref="LoadWithOnnxRuntime"/> returns a chain.</summary>
    /// <param name="catalog">The model operations catalog, <c>mlContext.Model</c>.</param>
    /// <param name="filePath">A zip as for <see cref="LoadWithOnnxRuntime"/>, which contains exactly one classifier of this
    /// library.</param>
    /// <param name="options">The options for ONNX Runtime; null for the defaults.</param>
    /// <returns>Only the classifier, without the pipeline's other steps: it reads its image column, or an image passed to
    /// <see cref="DplOnnxTransformer.Predict(string)"/>. The caller disposes it.</returns>
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
            // ML.NET registers the library's components and then enumerates all of its types, including those for training, which depend on
            // TorchSharp. A registered assembly is not enumerated again, so with another version of TorchSharp the second attempt succeeds.
            return catalog.Load(filePath, out schema);
        }
    }
}
