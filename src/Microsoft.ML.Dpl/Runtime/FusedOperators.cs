using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// Operators of libtorch for prediction that TorchSharp has no methods for. The linear layers are oneDNN's, with weights in the memory
/// layout of its kernels: they use AVX-512 on every processor that has it, while MKL's do so only on Intel's, and they apply an
/// activation or add a residual without another pass over memory.
/// </summary>
/// <remarks>The operators are called through a TorchScript module, which is written here in the format in which PyTorch saves
/// modules. None of the operators computes gradients.</remarks>
internal static class FusedOperators
{
    private const string Code = """
        class Operators(Module):
          __parameters__ = []
          __buffers__ = []
          def pack(self: __torch__.Operators, weight: Tensor, rows: int) -> Tensor:
            return ops.mkldnn._reorder_linear_weight(weight, rows)
          def linear(self: __torch__.Operators, input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return ops.mkldnn._linear_pointwise(input, weight, bias, "none", annotate(List[Optional[number]], []), "")
          def silu(self: __torch__.Operators, input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return ops.mkldnn._linear_pointwise(input, weight, bias, "swish", annotate(List[Optional[number]], []), "")
          def gelu(self: __torch__.Operators, input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return ops.mkldnn._linear_pointwise(input, weight, bias, "gelu", annotate(List[Optional[number]], []), "none")
          def add(self: __torch__.Operators, input: Tensor, weight: Tensor, bias: Tensor, other: Tensor) -> Tensor:
            return ops.mkldnn._linear_pointwise(input, other, weight, bias, "add")
          def attend(self: __torch__.Operators, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            return torch.scaled_dot_product_attention(queries, keys, values, None, 0., False, scale=1.)

        """;

    private static readonly Lazy<jit.ScriptModule> Module = new(Load);

    /// <summary>Whether this libtorch has the operators and the processor has vector instructions for them. Calling a
    /// missing operator would crash the process, so this is true only on platforms whose libtorch is known to have them.</summary>
    public static bool IsAvailable { get; } =
        OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64 && Avx2.IsSupported;

    /// <summary>Reorders a weight for oneDNN's kernels.</summary>
    /// <param name="weight">[outputs, inputs] float32 on the CPU</param>
    /// <param name="rows">The typical number of rows of an input, for which the layout is chosen; inputs may have any number.</param>
    /// <returns>A tensor that only the linear layers below can read, in the caller's dispose scope.</returns>
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

    /// <summary>Softmax attention without a scale, in blocks that fit in the CPU cache: softmax(queries · keysᵀ) · values.</summary>
    /// <param name="queries">[batch, heads, queries, headWidth]</param>
    /// <param name="keys">[batch, heads, keys, headWidth]</param>
    /// <param name="values">[batch, heads, keys, headWidth]</param>
    /// <returns>[batch, heads, queries, headWidth] in the caller's dispose scope.</returns>
    public static Tensor Attend(Tensor queries, Tensor keys, Tensor values) => Invoke("attend", queries, keys, values);

    private static Tensor Invoke(string method, params object[] arguments) => (Tensor)Module.Value.invoke(method, arguments);

    private static jit.ScriptModule Load()
    {
        LibTorch.EnsureLoaded();
        using var stream = new MemoryStream();
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            Add(archive, "version", "3\n"u8);
            // Pickles of an instance of the class, without attributes, and of an empty tuple of constants.
            Add(archive, "data.pkl", [0x80, 2, .. "c__torch__\nOperators\n)"u8, 0x81, .. "}b."u8]);
            Add(archive, "constants.pkl", [0x80, 2, .. ")."u8]);
            Add(archive, "code/__torch__.py", Encoding.ASCII.GetBytes(Code));
        }
        return jit.load(stream.ToArray());
    }

    private static void Add(ZipArchive archive, string name, ReadOnlySpan<byte> content)
    {
        using Stream entry = archive.CreateEntry($"operators/{name}", CompressionLevel.NoCompression).Open();
        entry.Write(content);
    }
}
