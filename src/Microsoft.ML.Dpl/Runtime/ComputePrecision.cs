namespace Microsoft.ML.Dpl;

/// <summary>What the matrix products of search and training round to; products are summed in float32, and norms, softmax, losses, prompts
/// and alphas stay float32.</summary>
public enum ComputePrecision
{
    /// <summary>Nothing: 24 bits. Equal seeds give equal bits on a CPU.</summary>
    Float32,

    /// <summary>
    /// Factors to 11 bits, by the tensor cores of NVIDIA's GPUs since Ampere; on a CPU the same as <see cref="Float32"/>, which the log
    /// says. libtorch's switch for it is one for the whole process: while such a fit runs, its validation and other float32 work on a GPU
    /// are rounded too.
    /// </summary>
    TensorFloat32,

    /// <summary>
    /// Factors and results to 8 bits, in half the memory: fast on GPUs with tensor cores and on CPUs with AMX or AVX512-BF16, slow on
    /// others. A GPU may round parts of a product's sum, too, as libtorch lets it. Equal seeds give equal bits on one CPU, not on CPUs of
    /// different kinds.
    /// </summary>
    BFloat16,
}
