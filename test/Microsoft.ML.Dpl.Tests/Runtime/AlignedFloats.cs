using System.Runtime.InteropServices;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tests.Runtime;

/// <summary>Floats aligned like libtorch's own: with other alignments MKL's results may differ in their last bits.</summary>
internal sealed unsafe class AlignedFloats : IDisposable
{
    private readonly float* _memory;

    /// <param name="values">The values to copy.</param>
    /// <param name="offset">The number of floats between the aligned address and the first value.</param>
    public AlignedFloats(IReadOnlyCollection<float> values, int offset = 0)
    {
        Length = values.Count;
        _memory = (float*)NativeMemory.AlignedAlloc((nuint)Math.Max(1, Length + offset) * sizeof(float), NativeTensor.Alignment);
        Start = _memory + offset;
        values.ToArray().CopyTo(Span);
    }

    public float* Start { get; }

    public int Length { get; }

    public Span<float> Span => new(Start, Length);

    public void Dispose() => NativeMemory.AlignedFree(_memory);
}
