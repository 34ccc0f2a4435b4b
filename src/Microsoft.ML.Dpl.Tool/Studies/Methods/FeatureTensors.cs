using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>CLIP's vectors as tensors on the CPU, where products of them cost little beside the towers and have the same bits every
/// time.</summary>
internal static class FeatureTensors
{
    /// <summary>A copy in memory that libtorch allocates: on an array of .NET products would depend in their last bits on where it
    /// lies.</summary>
    /// <param name="rows">At least one, all of one width.</param>
    /// <returns>[rows, width], owned by the caller or the present dispose scope.</returns>
    public static Tensor Create(IReadOnlyList<float[]> rows)
    {
        int width = rows[0].Length;
        Tensor made = empty([rows.Count, width], ScalarType.Float32, CPU);
        Span<float> all = MemoryMarshal.Cast<byte, float>(made.bytes);
        for (int i = 0; i < rows.Count; i++)
            rows[i].CopyTo(all[(i * width)..]);
        return made;
    }

    /// <param name="values">[rows, width].</param>
    /// <returns>[row][width].</returns>
    public static float[][] Rows(Tensor values)
    {
        using Tensor whole = values.contiguous();
        return [.. whole.data<float>().ToArray().Chunk((int)values.shape[1])];
    }
}
