using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Microsoft.ML.Dpl.Tests;

public partial class ReadmeTests
{
    private static readonly string Text = File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "README.md"));

    [Fact]
    public void The_code_example_compiles()
    {
        string code = CSharpBlock().Match(Text) is { Success: true } match
            ? match.Groups[1].Value
            : throw new InvalidDataException("README.md has no csharp block.");
        IEnumerable<string> references = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator);
        CSharpCompilation compilation = CSharpCompilation.Create(
            "Readme",
            [CSharpSyntaxTree.ParseText("global using System;\n" + code)],
            references.Select(path => MetadataReference.CreateFromFile(path)),
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable)
        );
        Assert.Empty(compilation.GetDiagnostics().Where(d => d.Severity >= DiagnosticSeverity.Warning));
        Assert.InRange(code.Split('\n').Count(line => line.Trim().Length > 0), 10, 24);
    }

    [Fact]
    public void Linked_files_exist() =>
        Assert.All(Link().Matches(Text).Select(m => m.Groups[1].Value), path =>
            Assert.True(File.Exists(Path.Combine(SharedData.RepositoryRoot, path)), path)
        );

    [GeneratedRegex("```csharp\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex CSharpBlock();

    [GeneratedRegex(@"\]\((?!https?:)([^)#]+)\)")]
    private static partial Regex Link();
}
