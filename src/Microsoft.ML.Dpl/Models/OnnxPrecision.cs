namespace Microsoft.ML.Dpl;

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
