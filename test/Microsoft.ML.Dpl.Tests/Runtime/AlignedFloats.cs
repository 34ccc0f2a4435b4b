using System.Runtime.InteropServices;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tests.Runtime;

/// <summary>Floats aligned as libtorch's own: what MKL makes of an array that lies elsewhere may have other last bits.</summary>
internal sealed unsafe class AlignedFloats : IDisposable
{
    private readonly float* _memory;

    /// <param name="values">Copied.</param>
    /// <param name="offset">Floats that lie between the aligned address and the first value.</param>
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
