using TorchSharp;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// Scalars that live as long as the process. An operator such as <c>a + b</c> makes one of its own for each call, which nothing keeps alive
/// while libtorch reads it: a garbage collection in that moment frees it under libtorch's hands. Where every step passes, these are used
/// instead.
/// </summary>
internal static class HeldScalar
{
    /// <summary>1, the factor of a sum's second term. First asked for beside a tensor, so libtorch is loaded by then.</summary>
    public static Scalar One { get; } = 1;
}
