using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.Runtime;

namespace Microsoft.ML.Dpl.Tests.Attention;

/// <summary>Products of submatrices, checked against sums of products. The values are small integers, so nothing is rounded.</summary>
public unsafe class SgemmTests
{
    [SkippableTheory]
    [InlineData(1, 1, 1)]
    [InlineData(3, 5, 2)]
    [InlineData(1, 4, 7)]
    [InlineData(6, 1, 3)]
    [InlineData(17, 33, 19)]
    [InlineData(197, 64, 577)]
    public void Products_are_sums_of_products(int m, int n, int k)
    {
        Require();
        foreach (bool leftTransposed in new[] { false, true })
        {
            foreach (bool rightTransposed in new[] { false, true })
            {
                foreach (float beta in new[] { 0f, 1f })
                {
                    int leftStride = (leftTransposed ? m : k) + 2,
                        rightStride = (rightTransposed ? k : n) + 3,
                        stride = n + 1;
                    float[] left = Numbers((leftTransposed ? k : m) * leftStride, 7),
                        right = Numbers((rightTransposed ? n : k) * rightStride, 5),
                        before = Numbers(m * stride, 3);
                    using AlignedFloats leftMemory = new(left),
                        rightMemory = new(right),
                        memory = new(before);
                    Span<float> c = memory.Span;
                    // With beta = 0 the output must not be read: NaN would show it.
                    if (beta == 0)
                        for (int i = 0; i < m; i++)
                            c.Slice(i * stride, n).Fill(float.NaN);
                    Sgemm.Matrix first = new(leftMemory.Start, leftStride),
                        second = new(rightMemory.Start, rightStride);
                    Sgemm.Multiply(
                        leftTransposed ? first.T : first,
                        rightTransposed ? second.T : second,
                        new Sgemm.Matrix(memory.Start, stride),
                        m,
                        n,
                        k,
                        beta
                    );
                    for (int i = 0; i < m; i++)
                    {
                        for (int j = 0; j < n; j++)
                        {
                            float sum = beta == 0 ? 0 : before[i * stride + j];
                            for (int at = 0; at < k; at++)
                                sum +=
                                    (leftTransposed ? left[at * leftStride + i] : left[i * leftStride + at])
                                    * (rightTransposed ? right[j * rightStride + at] : right[at * rightStride + j]);
                            Assert.Equal(sum, c[i * stride + j]);
                        }
                        // Memory between the rows of a submatrix must not be written.
                        Assert.Equal(before[i * stride + n], c[i * stride + n]);
                    }
                }
            }
        }
    }

    /// <summary>Skips the calling test where libtorch does not export its BLAS.</summary>
    internal static void Require()
    {
        LibTorch.EnsureLoaded();
        Skip.IfNot(Sgemm.IsAvailable, "this libtorch does not export its BLAS");
    }

    private static float[] Numbers(int count, int step) => [.. Enumerable.Range(0, count).Select(i => (float)(i * step % 11 - 5))];
}
