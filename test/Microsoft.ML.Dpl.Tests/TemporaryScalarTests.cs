using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>
/// No number is passed to libtorch in a temporary Scalar that nothing keeps alive during the call, as TorchSharp's operators create it: a
/// garbage collection at that moment fails with "Expected false to be true" or crashes the process. <c>HeldScalar</c> has the replacements.
/// </summary>
public sealed class TemporaryScalarTests
{
    [Theory]
    [InlineData("src/Microsoft.ML.Dpl")]
    [InlineData("src/Microsoft.ML.Dpl.Onnx")]
    [InlineData("src/Microsoft.ML.Dpl.Tool/Studies")]
    [InlineData("samples/PretrainTinyClip")]
    public void What_computes_makes_none(string folder)
    {
        string[] found =
        [
            .. SourceCompilation
                .Of(folder)
                .SelectMany(file =>
                    file.Tree.GetRoot()
                        .DescendantNodes()
                        .OfType<ExpressionSyntax>()
                        .Where(expression => IsTemporary(file.Model, expression))
                        .Select(expression =>
                            $"{file.Tree.FilePath}:{expression.GetLocation().GetLineSpan().StartLinePosition.Line + 1}: {expression}"
                        )
                ),
        ];
        Assert.True(found.Length == 0, string.Join('\n', found));
    }

    [Theory]
    [InlineData("x + x", true)]
    [InlineData("x += x", true)]
    [InlineData("x.add(x)", true)]
    [InlineData("x.add_(x)", true)]
    [InlineData("x * 2.5", true)]
    [InlineData("1 - x", true)]
    [InlineData("x > 0", true)]
    [InlineData("x.mul_(3)", true)]
    [InlineData("x.clamp(max: 1)", true)]
    [InlineData("x.add(x, one)", false)]
    [InlineData("x.mul_(one)", false)]
    [InlineData("x * x", false)]
    [InlineData("x - x", false)]
    [InlineData("x.sub_(x)", false)]
    [InlineData("x.sum(0)", false)]
    public void One_is_recognised(string expression, bool expected)
    {
        CSharpCompilation compilation = SourceCompilation.Compile(
            "Example",
            [
                (
                    "Example.cs",
                    "using TorchSharp; class Example { object Of(torch.Tensor x) { using Scalar one = 1; return " + expression + "; } }"
                ),
            ]
        );
        SyntaxTree tree = compilation.SyntaxTrees.First();
        SemanticModel model = compilation.GetSemanticModel(tree);
        Assert.Empty(model.GetDiagnostics().Where(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error));
        Assert.Equal(expected, tree.GetRoot().DescendantNodes().OfType<ExpressionSyntax>().Any(node => IsTemporary(model, node)));
    }

    private static bool IsTemporary(SemanticModel model, ExpressionSyntax expression) =>
        IsConverted(model, expression) || IsOfNumber(model, expression);

    /// <summary>A number that is implicitly converted to a Scalar without being assigned to a variable.</summary>
    private static bool IsConverted(SemanticModel model, ExpressionSyntax expression)
    {
        TypeInfo type = model.GetTypeInfo(expression);
        return type is { Type.Name: not "Scalar", ConvertedType.Name: "Scalar" } && expression.Parent is not EqualsValueClauseSyntax;
    }

    /// <summary>An operation that creates a Scalar inside TorchSharp: one with a number, or a sum, for its factor of 1.</summary>
    private static bool IsOfNumber(SemanticModel model, ExpressionSyntax expression) =>
        model.GetSymbolInfo(expression).Symbol is IMethodSymbol { ContainingType.Name: "Tensor" } method
        && expression switch
        {
            BinaryExpressionSyntax binary => binary.IsKind(SyntaxKind.AddExpression) || method.Parameters.Any(p => p.Type.Name != "Tensor"),
            AssignmentExpressionSyntax => true,
            InvocationExpressionSyntax => method.Name is "add" or "add_" && method.Parameters.Length == 1,
            _ => false,
        };
}
