using System.Runtime.InteropServices;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Attention;

/// <summary>
/// float32 products of matrices that are parts of larger ones, by the BLAS inside libtorch; saves the copies that would make such parts
/// contiguous. Available only where libtorch exports <c>sgemm_</c> (Linux x64).
/// </summary>
internal static unsafe class Sgemm
{
    private static readonly Lazy<nint> Address = new(Find);

    /// <summary>Whether <see cref="Multiply"/> can be called.</summary>
    public static bool IsAvailable => Address.Value != 0;

    /// <summary>c = left · right + <paramref name="beta"/> · c, on as many threads as BLAS may use from the calling thread.</summary>
    /// <param name="left">[m, k]</param>
    /// <param name="right">[k, n]</param>
    /// <param name="c">[m, n]; not read where <paramref name="beta"/> is 0. Must not overlap the factors.</param>
    /// <param name="m">Rows of the product.</param>
    /// <param name="n">Columns of the product.</param>
    /// <param name="k">Length of the inner dimension.</param>
    /// <param name="beta">0 or 1.</param>
    public static void Multiply(Matrix left, Matrix right, Matrix c, int m, int n, int k, float beta = 0)
    {
        // BLAS is column-major, so it computes the transposed product: rightᵀ · leftᵀ.
        // Sizes are passed as 64-bit integers, which a BLAS with 32-bit ones reads correctly too because x64 is little-endian.
        byte first = right.Transposed ? (byte)'T' : (byte)'N',
            second = left.Transposed ? (byte)'T' : (byte)'N';
        float alpha = 1;
        long rows = m,
            columns = n,
            inner = k,
            rightStride = right.Stride,
            leftStride = left.Stride,
            stride = c.Stride;
        (
            (delegate* unmanaged[Cdecl]<
                byte*,
                byte*,
                long*,
                long*,
                long*,
                float*,
                float*,
                long*,
                float*,
                long*,
                float*,
                float*,
                long*,
                void>)
                Address.Value
        )(&first, &second, &columns, &rows, &inner, &alpha, right.Start, &rightStride, left.Start, &leftStride, &beta, c.Start, &stride);
    }

    private static nint Find() =>
        LibTorch.CpuLibrary is { } library && NativeLibrary.TryGetExport(library, "sgemm_", out nint address) ? address : 0;

    /// <summary>A part of a larger matrix.</summary>
    /// <param name="start">Its first element.</param>
    /// <param name="stride">Elements from one row to the next.</param>
    /// <param name="transposed">Whether the stored matrix is the transpose of the one represented.</param>
    public readonly struct Matrix(float* start, int stride, bool transposed = false)
    {
        public float* Start => start;

        public int Stride => stride;

        public bool Transposed => transposed;

        public Matrix T => new(start, stride, !transposed);
    }
}
