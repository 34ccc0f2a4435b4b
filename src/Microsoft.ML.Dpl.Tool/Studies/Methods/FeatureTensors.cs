using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>CLIP's embeddings as tensors on the CPU, where their products cost little compared with the towers and are bitwise
/// reproducible.</summary>
internal static class FeatureTensors
{
    /// <summary>Copies the rows to memory allocated by libtorch: in a .NET array the last bits of products would depend on the array's
    /// address.</summary>
    /// <param name="rows">The rows, at least one, all of the same width.</param>
    /// <returns>[rows, width], owned by the caller or the current dispose scope.</returns>
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
