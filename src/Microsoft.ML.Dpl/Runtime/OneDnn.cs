using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// The linear layers of oneDNN, which libtorch contains, with weights in the order in which its kernels read them. They use AVX-512 on
/// every processor that has it, MKL's only where the vendor is Intel, and a layer ends with its activation or its residual without another
/// pass over memory.
/// </summary>
/// <remarks>TorchSharp has no methods for these operators, but TorchScript has: they are called through a module that is written here in
/// the form in which PyTorch saves modules.</remarks>
internal static class OneDnn
{
    private const string Code = """
        class Linear(Module):
          __parameters__ = []
          __buffers__ = []
          def pack(self: __torch__.Linear, weight: Tensor, rows: int) -> Tensor:
            return ops.mkldnn._reorder_linear_weight(weight, rows)
          def linear(self: __torch__.Linear, input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return ops.mkldnn._linear_pointwise(input, weight, bias, "none", annotate(List[Optional[number]], []), "")
          def silu(self: __torch__.Linear, input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return ops.mkldnn._linear_pointwise(input, weight, bias, "swish", annotate(List[Optional[number]], []), "")
          def gelu(self: __torch__.Linear, input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return ops.mkldnn._linear_pointwise(input, weight, bias, "gelu", annotate(List[Optional[number]], []), "none")
          def add(self: __torch__.Linear, input: Tensor, weight: Tensor, bias: Tensor, other: Tensor) -> Tensor:
            return ops.mkldnn._linear_pointwise(input, other, weight, bias, "add")

        """;

    private static readonly Lazy<jit.ScriptModule> Module = new(Load);

    /// <summary>Whether this libtorch surely has oneDNN, and the processor the vector instructions that make it worth its memory. A missing
    /// operator would end the process, so only builds are named in which it was seen.</summary>
    public static bool IsAvailable { get; } =
        OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64 && Avx2.IsSupported;

    /// <summary>A weight in the order of oneDNN's kernels.</summary>
    /// <param name="weight">[outputs, inputs] float32 on the CPU</param>
    /// <param name="rows">The usual number of rows of an input; others are possible.</param>
    /// <returns>A tensor that only the methods below can read, in the caller's dispose scope.</returns>
    public static Tensor Pack(Tensor weight, long rows) => Invoke("pack", weight, rows);

    /// <summary>A linear layer.</summary>
    /// <param name="input">[rows, inputs]</param>
    /// <param name="packed">[outputs, inputs] from <see cref="Pack"/>.</param>
    /// <param name="bias">[outputs]</param>
    /// <returns>[rows, outputs] in the caller's dispose scope.</returns>
    public static Tensor Linear(Tensor input, Tensor packed, Tensor bias) => Invoke("linear", input, packed, bias);

    /// <summary>The SiLU of a linear layer; see <see cref="Linear"/>.</summary>
    public static Tensor Silu(Tensor input, Tensor packed, Tensor bias) => Invoke("silu", input, packed, bias);

    /// <summary>The exact GELU of a linear layer; see <see cref="Linear"/>.</summary>
    public static Tensor Gelu(Tensor input, Tensor packed, Tensor bias) => Invoke("gelu", input, packed, bias);

    /// <summary>The sum of a linear layer and <paramref name="other"/>, [rows, outputs]; see <see cref="Linear"/>.</summary>
    public static Tensor Add(Tensor input, Tensor packed, Tensor bias, Tensor other) => Invoke("add", input, packed, bias, other);

    private static Tensor Invoke(string method, params object[] arguments) => (Tensor)Module.Value.invoke(method, arguments);

    private static jit.ScriptModule Load()
    {
        LibTorch.EnsureLoaded();
        using var stream = new MemoryStream();
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            Add(archive, "version", "3\n"u8);
            // A pickled object of the class without members, and an empty tuple of constants.
            Add(archive, "data.pkl", [0x80, 2, .. "c__torch__\nLinear\n)"u8, 0x81, .. "}b."u8]);
            Add(archive, "constants.pkl", [0x80, 2, .. ")."u8]);
            Add(archive, "code/__torch__.py", Encoding.ASCII.GetBytes(Code));
        }
        return jit.load(stream.ToArray());
    }

    private static void Add(ZipArchive archive, string name, ReadOnlySpan<byte> content)
    {
        using Stream entry = archive.CreateEntry($"linear/{name}", CompressionLevel.NoCompression).Open();
        entry.Write(content);
    }
}
