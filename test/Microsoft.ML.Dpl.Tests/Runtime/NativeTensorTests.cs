using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;
using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Runtime;

/// <summary>The alignment of float tensors: on some processors MKL chooses its summation order by it.</summary>
public unsafe class NativeTensorTests
{
    public NativeTensorTests() => LibTorch.EnsureLoaded();

    [Fact]
    public void Values_and_shapes_are_kept()
    {
        using var scope = NewDisposeScope();
        Check(NativeTensor.From([1, 2, 3]), [3], [1, 2, 3]);
        Check(NativeTensor.From([1, 2, 3, 4, 5, 6], [3, 2]), [3, 2], [1, 2, 3, 4, 5, 6]);
        Check(
            NativeTensor.From(
                new float[,]
                {
                    { 1, 2, 3 },
                    { 4, 5, 6 },
                }
            ),
            [2, 3],
            [1, 2, 3, 4, 5, 6]
        );
        Check(
            NativeTensor.From(
                new float[,,]
                {
                    {
                        { 1, 2 },
                    },
                    {
                        { 3, 4 },
                    },
                }
            ),
            [2, 1, 2],
            [1, 2, 3, 4]
        );
        Check(NativeTensor.From([], [0, 4]), [0, 4], []);
        Assert.Contains("[2, 2]", Assert.Throws<ArgumentException>(() => NativeTensor.From([1, 2, 3], [2, 2])).Message);

        static void Check(Tensor made, long[] shape, float[] values)
        {
            Assert.Equal((ScalarType.Float32, DeviceType.CPU), (made.dtype, made.device_type));
            Assert.Equal(shape, made.shape);
            Assert.Equal(values, values.Length == 0 ? [] : made.data<float>().ToArray());
        }
    }

    [Fact]
    public void Later_changes_of_the_array_do_not_reach_the_tensor()
    {
        float[] values = [1, 2];
        using Tensor made = NativeTensor.From(values);
        values[0] = 7;
        Assert.Equal(1, made[0].item<float>());
    }

    [Fact]
    public void Every_tensor_begins_on_an_aligned_address()
    {
        using var scope = NewDisposeScope();
        for (int length = 1; length < 300; length++)
        {
            // Preceding objects have many sizes, so an array may start at any multiple of 8 bytes.
            var values = new float[length];
            Assert.Equal(0, (long)KernelTensor.Pointer(NativeTensor.From(values)) % NativeTensor.Alignment);
            Assert.Equal(0, (long)KernelTensor.Pointer(NativeTensor.From(new float[length, 3])) % NativeTensor.Alignment);
        }
    }

    /// <summary>A product with one row, such as one image against all classes, is where alignment shows on AMD's Zen 4.</summary>
    [Fact]
    public void A_product_has_the_same_bits_wherever_the_array_lay()
    {
        using var scope = NewDisposeScope();
        using Generator generator = Seeds.Generator(1, "alignment");
        Tensor image = randn(1, 512, generator: generator);
        float[] classes = [.. Enumerable.Range(0, 100 * 512).Select(i => MathF.Sin(i))];
        byte[]? expected = null;
        var kept = new List<float[]>();
        for (int i = 0; i < 32; i++)
        {
            kept.Add(new float[1 + i % 5]);
            float[] copy = [.. classes];
            kept.Add(copy);
            byte[] product = image.mm(NativeTensor.From(copy, [100, 512]).t()).bytes.ToArray();
            Assert.Equal(expected ??= product, product);
        }
    }

    [Fact]
    public void Sources_make_no_float_tensor_on_an_array()
    {
        var found = new List<string>();
        foreach (var (model, tree) in SourceCompilation.Of("src"))
        {
            foreach (InvocationExpressionSyntax call in tree.GetRoot().DescendantNodes().OfType<InvocationExpressionSyntax>())
            {
                string name = call.Expression switch
                {
                    MemberAccessExpressionSyntax m => m.Name.Identifier.Text,
                    SimpleNameSyntax n => n.Identifier.Text,
                    _ => "",
                };
                if (
                    name is not ("tensor" or "as_tensor" or "from_array" or "frombuffer")
                    || model.GetOperation(call) is not IInvocationOperation { TargetMethod: var method } made
                )
                    continue;
                if (
                    method.ContainingAssembly?.Name == "TorchSharp"
                    && made.Arguments.FirstOrDefault()?.Value is { } first
                    && HoldsFloats(Unwrapped(first).Type)
                )
                    found.Add($"{tree.FilePath}: {call}");
            }
        }
        Assert.Empty(found);

        static IOperation Unwrapped(IOperation value) =>
            value is IConversionOperation { IsImplicit: true, Operand: var operand } && operand.Type is not null
                ? Unwrapped(operand)
                : value;
        static bool HoldsFloats(ITypeSymbol? type) =>
            type is not null
            && (
                type.ToDisplayString().Contains("float[", StringComparison.Ordinal)
                || type.ToDisplayString().Contains("<float>", StringComparison.Ordinal)
            );
    }
}
