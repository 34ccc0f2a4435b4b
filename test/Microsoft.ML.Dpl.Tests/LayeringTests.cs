using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>A folder of the library uses only the folders below it, never those above. A public type is in the folder of its feature,
/// whatever its namespace.</summary>
public class LayeringTests
{
    private const string Root = "Microsoft.ML.Dpl";
    private static readonly string[] Layers =
    [
        Root,
        "TensorBoard",
        "Embedding",
        "Fit",
        "Models",
        "MLNet",
        "Search",
        "Training",
        "Optimization",
        "Network",
        "Attention",
        "Data",
        "Drawing",
        "Clip",
        "Images",
        "TensorFiles",
        "Hub",
        "Runtime",
    ];

    /// <summary>Folders that do not depend on ML.NET's data views.</summary>
    private static readonly string[] Engine = Layers[(Array.IndexOf(Layers, "MLNet") + 1)..];

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
                // An assembly attribute must register the transformer's loader; no other name may refer to a folder above.
                if (
                    name.Ancestors()
                        .OfType<AttributeListSyntax>()
                        .Any(list => list.Target?.Identifier.IsKind(SyntaxKind.AssemblyKeyword) == true)
                )
                    continue;
                if (model.GetSymbolInfo(name).Symbol is not { } symbol)
                    continue;
                INamedTypeSymbol? used = symbol as INamedTypeSymbol ?? symbol.ContainingType;
                if (used is null || !SymbolEqualityComparer.Default.Equals(used.ContainingAssembly, compilation.Assembly))
                    continue;
                int from = LayerOf(tree),
                    to = used.DeclaringSyntaxReferences.Max(declared => LayerOf(declared.SyntaxTree));
                if (to < from)
                    violations.Add($"{Path.GetRelativePath(SharedData.RepositoryRoot, tree.FilePath)} uses {used.ToDisplayString()}");
            }
        }
        Assert.Empty(violations);
    }

    [Fact]
    public void Engine_folders_do_not_know_data_views()
    {
        Assert.DoesNotContain(Sources().Where(path => Engine.Contains(FolderOf(path))), path =>
            File.ReadAllText(path).Contains("IDataView", StringComparison.Ordinal)
        );
    }

    /// <summary>A public type has a namespace that users import, whatever its folder; every other type has its folder's.</summary>
    [Fact]
    public void Namespaces_say_who_a_type_is_for()
    {
        string[] open = ["Microsoft.ML", Root, $"{Root}.Clip", $"{Root}.Hub"];
        var others = new List<string>();
        foreach (string path in Sources())
        {
            SyntaxNode root = CSharpSyntaxTree.ParseText(File.ReadAllText(path)).GetRoot();
            foreach (BaseNamespaceDeclarationSyntax space in root.DescendantNodes().OfType<BaseNamespaceDeclarationSyntax>())
            {
                string name = space.Name.ToString(),
                    folder = FolderOf(path);
                bool isPublic = space.Members.OfType<BaseTypeDeclarationSyntax>().Any(type => type.Modifiers.Any(SyntaxKind.PublicKeyword));
                // The compiler looks up types in this namespace by name.
                bool isLookedUp = name == "System.Runtime.CompilerServices";
                if (!(isPublic ? open.Contains(name) : isLookedUp || name == (folder == Root ? Root : $"{Root}.{folder}")))
                    others.Add($"{Path.GetRelativePath(SharedData.RepositoryRoot, path)}: {name}");
            }
        }
        Assert.Empty(others);
    }

    [Fact]
    public void The_picture_of_the_layers_is_theirs()
    {
        string document = File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "docs", "ARCHITECTURE.md"));
        string chain = document.Split('\n').Single(line => line.TrimStart().StartsWith("root --> ", StringComparison.Ordinal));
        string[] shown =
        [
            .. chain.Split("-->", StringSplitOptions.TrimEntries).Skip(1).Select(node => document.Split($"{node}[\"")[1].Split("\"]")[0]),
        ];
        Assert.Equal(Layers[1..], shown);
    }

    private static string LibraryFolder => Path.Combine(SharedData.RepositoryRoot, "src", Root);

    private static IEnumerable<string> Sources() => SourceCompilation.Files(Path.Combine("src", Root));

    private static string FolderOf(string path) =>
        Path.GetRelativePath(LibraryFolder, path).Split(Path.DirectorySeparatorChar) is [var folder, _, ..] ? folder : Root;

    private static int LayerOf(SyntaxTree tree)
    {
        int layer = Array.IndexOf(Layers, FolderOf(tree.FilePath));
        Assert.True(layer >= 0, $"{tree.FilePath} lies in a folder that is not a layer");
        return layer;
    }
}
