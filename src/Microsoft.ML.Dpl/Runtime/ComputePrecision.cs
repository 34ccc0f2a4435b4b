namespace Microsoft.ML.Dpl;

/// <summary>The precision of the matrix products in search and training. Products are summed in float32, and norms, softmax, losses,
/// prompts and alphas stay float32.</summary>
public enum ComputePrecision
{
    /// <summary>No reduction: 24-bit significands. Equal seeds give bitwise equal results on a CPU.</summary>
    Float32,

    /// <summary>
    /// Factors rounded to 11-bit significands, by the tensor cores of NVIDIA GPUs since Ampere; on a CPU the same as
    /// <see cref="Float32"/>, which the log reports. libtorch's switch for it is process-wide: while such a fit runs, its validation and
    /// other float32 work on a GPU are rounded too.
    /// </summary>
    TensorFloat32,

    /// <summary>
    /// Factors and results rounded to 8-bit significands, in half the memory: fast on GPUs with tensor cores and on CPUs with AMX or
    /// AVX512-BF16, slow on others. A GPU may also round partial sums of a product, which libtorch allows. Equal seeds give bitwise equal
    /// results on one CPU, but not on CPUs of different kinds.
    /// </summary>
    BFloat16,
}
