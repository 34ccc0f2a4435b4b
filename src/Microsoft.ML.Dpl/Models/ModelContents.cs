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
