using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>Compiles the repository's C# sources for tests that forbid certain code.</summary>
internal static class SourceCompilation
{
    private const string GlobalUsings =
        "global using System; global using System.Collections.Generic; global using System.IO; global using System.Linq; global using "
        + "System.Threading; global using System.Threading.Tasks;";

    /// <summary>Every C# file below a folder of the repository, except those in bin and obj.</summary>
    public static IEnumerable<string> Files(string folder)
    {
        string root = Path.Combine(SharedData.RepositoryRoot, folder);
        return Directory
            .EnumerateFiles(root, "*.cs", SearchOption.AllDirectories)
            .Where(path => !Path.GetRelativePath(root, path).Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj"))
            .Order(StringComparer.Ordinal);
    }

    /// <summary>Each C# file below a folder of the repository, with its semantic model.</summary>
    public static IEnumerable<(SemanticModel Model, SyntaxTree Tree)> Of(string folder)
    {
        CSharpCompilation compilation = Compile(
            "Sources",
            Files(folder).Select(path => (Path.GetRelativePath(SharedData.RepositoryRoot, path), File.ReadAllText(path)))
        );
        foreach (SyntaxTree tree in compilation.SyntaxTrees)
            yield return (compilation.GetSemanticModel(tree), tree);
    }

    /// <param name="assemblyName">The name of the resulting assembly.</param>
    /// <param name="sources">The path and text of each source file.</param>
    public static CSharpCompilation Compile(string assemblyName, IEnumerable<(string Path, string Text)> sources)
    {
        // The assemblies compiled here must not be referenced as well.
        IEnumerable<string> references = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!)
            .Split(Path.PathSeparator)
            .Where(path => !Path.GetFileName(path).StartsWith("Microsoft.ML.Dpl", StringComparison.Ordinal));
        return CSharpCompilation.Create(
            assemblyName,
            [
                .. sources.Select(source => CSharpSyntaxTree.ParseText(source.Text, path: source.Path)),
                CSharpSyntaxTree.ParseText(GlobalUsings, path: "GlobalUsings.cs"),
            ],
            references.Select(path => MetadataReference.CreateFromFile(path)),
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary)
        );
    }
}
