using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>A folder of the library uses those below it, never those above; namespaces are folders.</summary>
public class LayeringTests
{
    private const string Root = "Microsoft.ML.Dpl";
    private static readonly string[] Layers = [Root, "MLNet", "Search", "Training", "Prompts", "Data", "Clip", "Reporting", "Hub", "Runtime"];

    [Fact]
    public void Folders_use_only_those_below_them()
    {
        CSharpCompilation compilation = SourceCompilation.Compile(Root, Sources().Select(path => (path, File.ReadAllText(path))));
        var violations = new SortedSet<string>();
        foreach (SyntaxTree tree in compilation.SyntaxTrees)
        {
            SemanticModel model = compilation.GetSemanticModel(tree);
            foreach (SimpleNameSyntax name in tree.GetRoot().DescendantNodes().OfType<SimpleNameSyntax>())
            {
                // The loader must be registered for the transformer by an assembly attribute; nothing else looks up.
                if (name.Ancestors().OfType<AttributeListSyntax>().Any(list => list.Target?.Identifier.IsKind(SyntaxKind.AssemblyKeyword) == true)) continue;
                if (model.GetSymbolInfo(name).Symbol is not { } symbol) continue;
                INamedTypeSymbol? used = symbol as INamedTypeSymbol ?? symbol.ContainingType;
                if (used is null || !SymbolEqualityComparer.Default.Equals(used.ContainingAssembly, compilation.Assembly)) continue;
                int from = LayerOf(tree), to = Array.IndexOf(Layers, LayerOf(used.ContainingNamespace));
                if (to >= 0 && to < from) violations.Add($"{Path.GetRelativePath(SharedData.RepositoryRoot, tree.FilePath)} uses {used.ToDisplayString()}");
            }
        }
        Assert.Empty(violations);
    }

    [Fact]
    public void Engine_folders_do_not_know_data_views()
    {
        string[] engine = ["Search", "Training", "Prompts", "Data", "Clip", "Hub", "Runtime"];
        Assert.DoesNotContain(Sources().Where(path => engine.Contains(FolderOf(path))), path => File.ReadAllText(path).Contains("IDataView", StringComparison.Ordinal));
    }

    [Fact]
    public void No_file_holds_two_ideas()
        => Assert.DoesNotContain(Sources(), path => File.ReadLines(path).Count() > 300);

    private static string LibraryFolder => Path.Combine(SharedData.RepositoryRoot, "src", Root);

    private static IEnumerable<string> Sources() => SourceCompilation.Files(Path.Combine("src", Root));

    private static string FolderOf(string path) => Path.GetRelativePath(LibraryFolder, path).Split(Path.DirectorySeparatorChar) is [var folder, _, ..] ? folder : Root;

    private static int LayerOf(SyntaxTree tree)
    {
        int layer = Array.IndexOf(Layers, FolderOf(tree.FilePath));
        Assert.True(layer >= 0, $"{tree.FilePath} lies in a folder that is no layer");
        return layer;
    }

    private static string LayerOf(INamespaceSymbol space)
    {
        string name = space.ToDisplayString();
        return name.StartsWith(Root + ".", StringComparison.Ordinal) ? name[(Root.Length + 1)..] : name == "Microsoft.ML" ? Root : name;
    }
}
