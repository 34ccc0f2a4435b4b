using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>The repository's C# as the compiler understands it, for tests of what the code must not do.</summary>
internal static class SourceCompilation
{
    private const string GlobalUsings =
        "global using System; global using System.Collections.Generic; global using System.IO; global using System.Linq; global using "
        + "System.Threading; global using System.Threading.Tasks;";

    /// <summary>Every file below a folder of the repository that is neither built nor restored.</summary>
    public static IEnumerable<string> Files(string folder)
    {
        string root = Path.Combine(SharedData.RepositoryRoot, folder);
        return Directory
            .EnumerateFiles(root, "*.cs", SearchOption.AllDirectories)
            .Where(path => !Path.GetRelativePath(root, path).Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj"))
            .Order(StringComparer.Ordinal);
    }

    /// <summary>Each file below a folder of the repository, with its meaning.</summary>
    public static IEnumerable<(SemanticModel Model, SyntaxTree Tree)> Of(string folder)
    {
        CSharpCompilation compilation = Compile(
            "Sources",
            Files(folder).Select(path => (Path.GetRelativePath(SharedData.RepositoryRoot, path), File.ReadAllText(path)))
        );
        foreach (SyntaxTree tree in compilation.SyntaxTrees)
            yield return (compilation.GetSemanticModel(tree), tree);
    }

    /// <param name="assemblyName">What the sources are compiled to.</param>
    /// <param name="sources">Path and text of each.</param>
    public static CSharpCompilation Compile(string assemblyName, IEnumerable<(string Path, string Text)> sources)
    {
        // What is compiled here is not referenced as well.
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
