using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>The places where the engine reads a tensor's values, which on a GPU makes the host wait for the device: once per step, for the
/// loss and the largest gradient together, and outside of steps.</summary>
public class HostWaitTests
{
    private static readonly string[] Engine = ["Search", "Training", "Optimization", "Network", "Attention", "Data"];

    // Calls whose result, or the result's shape, depends on a tensor's values. The property `bytes` and `to(CPU)` are handled separately.
    private static readonly string[] Looks =
    [
        "item",
        "cpu",
        "data",
        "tolist",
        "ToSingle",
        "ToDouble",
        "ToInt32",
        "ToInt64",
        "ToBoolean",
        "ReadCpuSingle",
        "nonzero",
        "argwhere",
        "masked_select",
        "unique",
        "unique_consecutive",
        "bincount",
        "repeat_interleave",
        "allclose",
        "save",
    ];

    private static readonly string[] Approved =
    [
        "BilevelSearch.Rows", // once per epoch
        "Calibration.Rows", // outside of steps
        "CheckpointFile.Digest",
        "CheckpointFile.Write",
        "DataDigest.Compute", // outside of steps
        "Evaluation.Compute", // once per validation batch
        "KernelTensor.Pointer", // on the CPU only
        "MixtureBranch.From", // outside of steps
        "OptimizerStep.Read", // the one read per step
        "SavedParameters.Restore", // once per fit
        "SupernetBranch.DrawPath", // once per search step, as the drawn path decides what is computed
        "Temperature.?", // its value, once per evaluation
        "ZeroShotStart.Measure", // outside of steps
    ];

    [Fact]
    public void Values_are_looked_at_once_a_step()
    {
        var places = new SortedSet<string>(StringComparer.Ordinal);
        foreach (
            string path in Engine.SelectMany(folder =>
                Directory.EnumerateFiles(Path.Combine(SharedData.RepositoryRoot, "src", "Microsoft.ML.Dpl", folder), "*.cs")
            )
        )
        {
            foreach (SyntaxNode call in CSharpSyntaxTree.ParseText(File.ReadAllText(path)).GetRoot().DescendantNodes().Where(IsLook))
            {
                string method = call.Ancestors().OfType<BaseMethodDeclarationSyntax>().FirstOrDefault() switch
                {
                    MethodDeclarationSyntax declared => declared.Identifier.Text,
                    ConstructorDeclarationSyntax => "new",
                    _ => "?",
                };
                places.Add($"{call.Ancestors().OfType<TypeDeclarationSyntax>().First().Identifier.Text}.{method}");
            }
        }
        Assert.Equal(Approved, places);
    }

    [Theory]
    [InlineData("loss.item<float>()", true)]
    [InlineData("loss?.cpu()", true)]
    [InlineData("nonzero(mask)", true)]
    [InlineData("rows.to(CPU)", true)]
    [InlineData("rows.to(ScalarType.Float32, DeviceType.CPU)", true)]
    [InlineData("rows.bytes.ToArray()", true)]
    [InlineData("rows?.bytes", true)]
    [InlineData("rows.to(device)", false)]
    [InlineData("zeros(3, device: CPU)", false)]
    [InlineData("rows.sum()", false)]
    public void A_look_is_recognised(string expression, bool expected) =>
        Assert.Equal(expected, SyntaxFactory.ParseExpression(expression).DescendantNodesAndSelf().Any(IsLook));

    private static bool IsLook(SyntaxNode node) =>
        node switch
        {
            InvocationExpressionSyntax call when NameOf(call.Expression) is { } name => Looks.Contains(name)
                || (name == "to" && call.ArgumentList.Arguments.Any(a => NameOf(a.Expression) == "CPU")),
            MemberAccessExpressionSyntax or MemberBindingExpressionSyntax => NameOf(node) == "bytes",
            _ => false,
        };

    private static string? NameOf(SyntaxNode expression) =>
        expression switch
        {
            MemberAccessExpressionSyntax access => access.Name.Identifier.Text,
            MemberBindingExpressionSyntax binding => binding.Name.Identifier.Text,
            SimpleNameSyntax name => name.Identifier.Text,
            _ => null,
        };
}
