namespace Microsoft.ML.Dpl;

/// <summary>What a model zip holds besides columns, classes and configuration.</summary>
public enum ModelContents
{
    /// <summary>Prompts and class features, a few hundred KiB. CLIP must be at hand where the model is loaded.</summary>
    PromptsOnly,

    /// <summary>CLIP's image tower too, so that the model predicts without CLIP's folder, and without libtorch where the application
    /// references the package <c>Microsoft.ML.Dpl.OnnxRuntime</c>: some 330 MiB for ViT-B/16. New classes and words for prompts need the
    /// text tower and are refused after loading.</summary>
    WithImageTower,

    /// <summary>The whole CLIP, its vocabulary included: some 570 MiB for ViT-B/16. Everything works without CLIP's folder.</summary>
    WithClip,

    /// <summary>The model as an ONNX graph, too, in the precision of <see cref="DplTransformer.OnnxPrecision"/>, by which it predicts
    /// without libtorch as with <see cref="WithImageTower"/>: some 330 MiB for ViT-B/16. The package <c>Microsoft.ML.Dpl.Onnx</c> writes
    /// it, and must be referenced where the model is saved. Where libtorch loads the zip, CLIP must be at hand as for
    /// <see cref="PromptsOnly"/>.</summary>
    WithOnnx,
}

/// <summary>How an ONNX graph keeps its weights, and what it multiplies with them.</summary>
public enum OnnxPrecision
{
    /// <summary>Weights and products of 32 bits: the transformer's scores to rounding.</summary>
    Float32,

    /// <summary>Weights of 16 bits, which halve the file. ONNX Runtime turns them into 32 bits once, when it loads the graph, so that
    /// predictions take as long and as much memory as with <see cref="Float32"/>.</summary>
    Float16,

    /// <summary>
    /// Weights of the transformer's linear layers of 8 bits with one scale for each output, and products of integers: their inputs are
    /// rounded to 8 bits with one scale for each token while the graph runs (dynamic quantisation, symmetric; Jacob et al., CVPR 2018,
    /// arXiv 1712.05877). About a quarter of the file, and faster on processors with VNNI; scores differ a little. For ONNX Runtime alone,
    /// since the products are an operator of its own. On x64 processors without VNNI its sums of pairs can saturate: measure the accuracy
    /// there, or choose another.
    /// </summary>
    Int8,
}
