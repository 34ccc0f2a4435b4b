using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>Where the engine looks at a tensor's values, so that on a GPU the host waits for the device: once a step, for the loss and the
/// largest gradient together, and outside of steps.</summary>
public class HostWaitTests
{
    private static readonly string[] Engine = ["Search", "Training", "Optimization", "Network", "Attention", "Data"];

    // Calls whose result depends on values: its numbers, or its shape. Besides these the property `bytes`, and `to(CPU)`.
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
        "BilevelSearch.Rows", // once an epoch
        "Calibration.Rows", // no step
        "CheckpointFile.Digest",
        "CheckpointFile.Write",
        "DataDigest.Compute", // no step
        "Evaluation.Compute", // once a batch of validation
        "KernelTensor.Pointer", // on the CPU alone
        "MixtureBranch.From", // no step
        "OptimizerStep.Read", // the one of a step
        "SavedParameters.Restore", // once a fit
        "SupernetBranch.DrawPath", // once a search step, whose work the drawn path decides
        "Temperature.?", // its value, once an evaluation
        "ZeroShotStart.Measure", // no step
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
