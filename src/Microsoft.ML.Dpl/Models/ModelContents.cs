namespace Microsoft.ML.Dpl;

/// <summary>What a model zip contains besides columns, classes and configuration.</summary>
public enum ModelContents
{
    /// <summary>Prompts and class features, a few hundred KiB. CLIP must be available where the model is loaded.</summary>
    PromptsOnly,

    /// <summary>Also CLIP's image tower, so that the model predicts without CLIP's folder, and without libtorch if the application
    /// references the package <c>Microsoft.ML.Dpl.OnnxRuntime</c>: about 330 MiB for ViT-B/16. New classes and the words nearest to
    /// prompts need the text tower, so a model loaded from such a zip rejects them.</summary>
    WithImageTower,

    /// <summary>The whole CLIP, including its vocabulary: about 570 MiB for ViT-B/16. Everything works without CLIP's folder.</summary>
    WithClip,

    /// <summary>Also the model as an ONNX graph, in the precision of <see cref="DplTransformer.OnnxPrecision"/>, so that it predicts
    /// without libtorch as with <see cref="WithImageTower"/>: about 330 MiB for ViT-B/16. The package <c>Microsoft.ML.Dpl.Onnx</c> writes
    /// the graph, and must be referenced where the model is saved. If the zip is loaded with libtorch, CLIP must be available as for
    /// <see cref="PromptsOnly"/>.</summary>
    WithOnnx,
}

/// <summary>The precision of an ONNX graph's weights and of its matrix products.</summary>
public enum OnnxPrecision
{
    /// <summary>32-bit weights and products: the scores equal the transformer's up to rounding.</summary>
    Float32,

    /// <summary>16-bit weights, which halve the file. ONNX Runtime converts them to 32 bits once, when it loads the graph, so that
    /// predictions take as long and as much memory as with <see cref="Float32"/>.</summary>
    Float16,

    /// <summary>
    /// 8-bit weights in the transformer's linear layers, with one scale per output, and integer products: the layers' inputs are
    /// rounded to 8 bits with one scale per token while the graph runs (symmetric dynamic quantisation; Jacob et al., CVPR 2018,
    /// arXiv 1712.05877). The file is about a quarter of the size, and predictions are faster on processors with VNNI; scores differ
    /// slightly. Only ONNX Runtime can run the graph, since the products are an operator of its own. On x64 processors without VNNI that
    /// operator's sums of pairs can saturate: measure the accuracy there, or choose another precision.
    /// </summary>
    Int8,
}
