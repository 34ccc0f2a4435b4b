using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>The C# code in the documents: the blocks of a document, in order, form one program.</summary>
internal static partial class MarkdownCode
{
    /// <summary>The implicit usings of a new project.</summary>
    private const string ImplicitUsings =
        "global using System; global using System.Collections.Generic; global using System.IO; global using System.Linq; "
        + "global using System.Threading; global using System.Threading.Tasks;\n";

    /// <summary>The csharp blocks of a document, in order.</summary>
    /// <param name="path">The document's path relative to the repository's root.</param>
    /// <exception cref="InvalidDataException">The document has no csharp block.</exception>
    public static string[] Blocks(string path)
    {
        string text = File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, path));
        string[] blocks = [.. CSharpBlock().Matches(text).Select(match => match.Groups[1].Value)];
        return blocks.Length > 0 ? blocks : throw new InvalidDataException($"{path} has no csharp block.");
    }

    /// <summary>Compiles a document's program against all assemblies that the tests reference; errors and warnings fail the test.</summary>
    /// <param name="path">The document's path relative to the repository's root.</param>
    public static void AssertCompiles(string path)
    {
        IEnumerable<string> references = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator);
        CSharpCompilation compilation = CSharpCompilation.Create(
            "Document",
            [CSharpSyntaxTree.ParseText(ImplicitUsings + string.Join('\n', Blocks(path)))],
            references.Select(reference => MetadataReference.CreateFromFile(reference)),
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable)
        );
        Assert.Empty(compilation.GetDiagnostics().Where(d => d.Severity >= DiagnosticSeverity.Warning));
    }

    [GeneratedRegex("```csharp\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex CSharpBlock();
}
