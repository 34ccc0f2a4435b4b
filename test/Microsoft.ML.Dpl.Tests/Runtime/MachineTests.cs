using System.Runtime.InteropServices;
using System.Text;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp;
using Xunit.Abstractions;

namespace Microsoft.ML.Dpl.Tests.Runtime;

/// <summary>Writes the libraries that the tests computed with into the results, since bits and times depend on them; <c>.ci/run</c> prints
/// that line.</summary>
public sealed unsafe class MachineTests(ITestOutputHelper output)
{
    [Fact]
    public void The_results_say_what_they_were_computed_with()
    {
        string loaded = LibTorch.EnsureLoaded();
        string blas =
            LibTorch.CpuLibrary is { } library && NativeLibrary.TryGetExport(library, "MKL_Get_Version_String", out nint mkl)
                ? MklVersion(mkl)
                : "one that does not say its name";
        string line = $"libtorch: {torch.get_num_threads()} threads, BLAS {blas}; {loaded}";
        output.WriteLine(line);
        Assert.InRange(torch.get_num_threads(), 1, Environment.ProcessorCount);
        Assert.Matches(@"^libtorch: \d+ threads, BLAS \S.*; \S.*$", line);
    }

    /// <summary>MKL's own description: its version and the instruction set that it uses on this processor.</summary>
    private static string MklVersion(nint function)
    {
        byte[] text = new byte[256];
        fixed (byte* start = text)
            ((delegate* unmanaged[Cdecl]<byte*, int, void>)function)(start, text.Length);
        int end = Array.IndexOf(text, (byte)0);
        return Encoding.ASCII.GetString(text, 0, end < 0 ? text.Length : end).Trim();
    }
}
