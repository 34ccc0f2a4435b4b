using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>The C# of the documents: the blocks of one document are one program, one after the other.</summary>
internal static partial class MarkdownCode
{
    /// <summary>The usings that a new project has by itself.</summary>
    private const string ImplicitUsings =
        "global using System; global using System.Collections.Generic; global using System.IO; global using System.Linq; "
        + "global using System.Threading; global using System.Threading.Tasks;\n";

    /// <summary>The csharp blocks of a document, in their order.</summary>
    /// <param name="path">From the repository's top folder.</param>
    /// <exception cref="InvalidDataException">There is none.</exception>
    public static string[] Blocks(string path)
    {
        string text = File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, path));
        string[] blocks = [.. CSharpBlock().Matches(text).Select(match => match.Groups[1].Value)];
        return blocks.Length > 0 ? blocks : throw new InvalidDataException($"{path} has no csharp block.");
    }

    /// <summary>Compiles a document's program against all that the tests reference; errors and warnings fail the test.</summary>
    /// <param name="path">From the repository's top folder.</param>
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
