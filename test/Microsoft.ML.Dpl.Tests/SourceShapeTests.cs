using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>Limits the length of C# files and lines in the library, the tool, tests and samples.</summary>
public class SourceShapeTests
{
    private const int LongestFile = 400,
        LongestLine = 140;

    /// <summary>Literals whose lines cannot be broken without changing their meaning: they hold HTML, JSON and scripts.</summary>
    private static readonly SyntaxKind[] Unbreakable =
    [
        SyntaxKind.SingleLineRawStringLiteralToken,
        SyntaxKind.MultiLineRawStringLiteralToken,
        SyntaxKind.Utf8SingleLineRawStringLiteralToken,
        SyntaxKind.Utf8MultiLineRawStringLiteralToken,
    ];

    private static string[] Files { get; } = [.. new[] { "src", "test", "samples" }.SelectMany(SourceCompilation.Files)];

    [Fact]
    public void No_file_holds_two_ideas()
    {
        Assert.True(Files.Length > 300, $"{Files.Length} files");
        Assert.Empty(
            Files
                .Select(path => (Lines: File.ReadLines(path).Count(), Path: Shown(path)))
                .Where(file => file.Lines > LongestFile)
                .Select(file => $"{file}")
        );
    }

    [Fact]
    public void No_line_is_wider_than_a_page()
    {
        var wide = new List<string>();
        foreach (string path in Files)
        {
            string[] lines = File.ReadAllLines(path);
            int[] candidates = [.. Enumerable.Range(0, lines.Length).Where(line => lines[line].Length > LongestLine)];
            if (candidates.Length == 0)
                continue;
            HashSet<int> unbreakable = UnbreakableLines(File.ReadAllText(path));
            wide.AddRange(
                candidates
                    .Where(line => !unbreakable.Contains(line))
                    .Select(line => $"{Shown(path)}:{line + 1} is {lines[line].Length} wide")
            );
        }
        Assert.Empty(wide);
    }

    /// <summary>Words that say too little, or differ from the field's terms, in names of the library, the tool and the samples.</summary>
    [Theory]
    [InlineData("^Of(?![a-z])", "Create, From, Read, or what it does")]
    [InlineData("^Course|Course$", "epochs, stage, history")]
    [InlineData("Anew", "again")]
    [InlineData("Pictures?(?![a-z])", "image")]
    [InlineData("^(StepGate|ModelFace|Searched|Ready)$", "what it is")]
    public void Names_are_the_fields_words(string word, string instead)
    {
        var regex = new Regex(word, RegexOptions.CultureInvariant);
        string[] named =
        [
            .. new[] { "src", "samples" }
                .SelectMany(SourceCompilation.Files)
                .SelectMany(path =>
                    Declared(File.ReadAllText(path)).Where(name => regex.IsMatch(name)).Select(name => $"{Shown(path)}: {name}")
                ),
        ];
        Assert.True(named.Length == 0, $"Better {instead}: {string.Join(", ", named)}");
    }

    /// <summary>The names of types, methods, local functions and properties.</summary>
    private static IEnumerable<string> Declared(string text) =>
        CSharpSyntaxTree
            .ParseText(text)
            .GetRoot()
            .DescendantNodes()
            .Select(node =>
                node switch
                {
                    BaseTypeDeclarationSyntax type => type.Identifier.ValueText,
                    MethodDeclarationSyntax method => method.Identifier.ValueText,
                    LocalFunctionStatementSyntax local => local.Identifier.ValueText,
                    PropertyDeclarationSyntax property => property.Identifier.ValueText,
                    _ => "",
                }
            );

    private static string Shown(string path) => Path.GetRelativePath(SharedData.RepositoryRoot, path);

    private static HashSet<int> UnbreakableLines(string text)
    {
        SyntaxTree tree = CSharpSyntaxTree.ParseText(text);
        var lines = new HashSet<int>();
        void Add(Location location)
        {
            FileLinePositionSpan span = location.GetLineSpan();
            for (int line = span.StartLinePosition.Line; line <= span.EndLinePosition.Line; line++)
                lines.Add(line);
        }
        foreach (SyntaxToken token in tree.GetRoot().DescendantTokens().Where(token => Unbreakable.Contains(token.Kind())))
            Add(token.GetLocation());
        foreach (SyntaxNode node in tree.GetRoot().DescendantNodes())
        {
            if (node is UsingDirectiveSyntax { Alias: not null } || node is InterpolatedStringExpressionSyntax literal && IsRaw(literal))
                Add(node.GetLocation());
        }
        return lines;
    }

    private static bool IsRaw(InterpolatedStringExpressionSyntax literal) =>
        literal.StringStartToken.Kind()
            is SyntaxKind.InterpolatedSingleLineRawStringStartToken
                or SyntaxKind.InterpolatedMultiLineRawStringStartToken;
}
