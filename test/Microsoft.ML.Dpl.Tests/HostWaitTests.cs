using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>Where the engine looks at a tensor's values, so that on a GPU the host waits for the device: once a step, for the loss and the largest gradient together, and outside of steps.</summary>
public class HostWaitTests
{
    private static readonly string[] Engine = ["Prompts", "Search", "Training", "Data"];

    // Calls whose result depends on values: its numbers, or its shape.
    private static readonly string[] Looks =
        ["item", "cpu", "data", "tolist", "ToSingle", "ToDouble", "ToInt32", "ToInt64", "ToBoolean", "ReadCpuSingle", "nonzero", "argwhere", "masked_select", "unique", "unique_consecutive", "bincount", "repeat_interleave", "allclose", "save"];

    private static readonly string[] Approved =
    [
        "BilevelSearch.Rows", // once an epoch
        "CheckpointFile.Write",
        "Evaluation.Of", // once a batch of validation
        "NearestTokens.Of", // no step
        "OptimizerStep.Read", // the one of a step
        "PatchRelevance.Of", // no step
    ];

    [Fact]
    public void Values_are_looked_at_once_a_step()
    {
        var places = new SortedSet<string>(StringComparer.Ordinal);
        foreach (string path in Engine.SelectMany(folder => Directory.EnumerateFiles(Path.Combine(SharedData.RepositoryRoot, "src", "Microsoft.ML.Dpl", folder), "*.cs")))
        {
            foreach (InvocationExpressionSyntax call in CSharpSyntaxTree.ParseText(File.ReadAllText(path)).GetRoot().DescendantNodes().OfType<InvocationExpressionSyntax>())
            {
                if (call.Expression is not MemberAccessExpressionSyntax { Name.Identifier.Text: var name } || !Looks.Contains(name)) continue;
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
}
