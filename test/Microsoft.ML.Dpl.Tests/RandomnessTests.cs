using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>Nothing in src/ draws from a global generator, from the clock or from the system: randomness comes from <c>Runtime/Seeds.cs</c>
/// alone, by seed and purpose.</summary>
public class RandomnessTests
{
    /// <summary>Files that may use what is forbidden elsewhere, and what each may use.</summary>
    private static readonly Dictionary<string, string[]> Approved = new()
    {
        // The only place that makes generators from seeds.
        ["Microsoft.ML.Dpl/Runtime/Seeds.cs"] = ["a generator made outside Seeds"],
        // Unique names for unfinished files and folders.
        ["Microsoft.ML.Dpl/Hub/HubCache.cs"] = ["Guid.NewGuid"],
        ["Microsoft.ML.Dpl/Runtime/WholeFile.cs"] = ["Guid.NewGuid"],
        ["Microsoft.ML.Dpl.Tool/Display/OutputFile.cs"] = ["Guid.NewGuid"],
        // Seeded by a hash of the seed and a class's name.
        ["Microsoft.ML.Dpl.Tool/Data/FewShotDraw.cs"] = ["a generator made outside Seeds"],
        // Seeded by a hash of the run's seed and a purpose.
        ["Microsoft.ML.Dpl.Tool/Studies/Methods/StudySeeds.cs"] = ["a generator made outside Seeds"],
        // One fixed seed, so that equal figures have equal intervals.
        ["Microsoft.ML.Dpl.Tool/Studies/Table/Intervals.cs"] = ["a generator made outside Seeds"],
    };

    private static readonly string SourceFolder = Path.Combine(SharedData.RepositoryRoot, "src");

    private static readonly string[] SuspectTypes = ["Seeds", "RandomNumberGenerator", "nn", "init"];

    /// <summary>Names to check: TorchSharp's methods that take or seed a generator or create layers, and some others.</summary>
    private static readonly HashSet<string> Names =
    [
        "NewGuid",
        .. typeof(TorchSharp.torch)
            .Assembly.GetExportedTypes()
            .SelectMany(type =>
                type.GetMethods()
                    .Where(method =>
                        type.Name is "nn" or "init"
                        || method.Name.Contains("manual_seed", StringComparison.Ordinal)
                        || method.Name.Contains("dropout", StringComparison.OrdinalIgnoreCase)
                        || method.GetParameters().Any(parameter => parameter.Name == "generator")
                    )
            )
            .Select(method => method.Name)
            .Where(name => name is not ("Equals" or "GetHashCode" or "GetType" or "ToString")),
    ];

    [Fact]
    public void Sources_draw_from_no_global_generator()
    {
        string[] files = [.. SourceCompilation.Files("src")];
        Assert.True(files.Length > 100, $"{files.Length} files");
        (string File, string What)[] all =
        [
            .. Violations(files.Select(path => (Path.GetRelativePath(SourceFolder, path).Replace('\\', '/'), File.ReadAllText(path)))),
        ];
        Assert.Empty(
            all.Where(v => !Approved.TryGetValue(v.File, out string[]? allowed) || !allowed.Contains(v.What))
                .Select(v => $"{v.File}: {v.What}")
        );
        // An approval that nothing needs must be removed.
        Assert.Equal(Approved.SelectMany(a => a.Value.Select(what => (a.Key, what))).Order(), all.Distinct().Order());
    }

    [Fact]
    public void The_check_finds_what_it_is_for_and_nothing_else()
    {
        (string Statement, string? What)[] cases =
        [
            ("Random.Shared.Next();", "Random.Shared"),
            ("_ = new Random().Next();", "a generator made outside Seeds"),
            ("Random r = new(); r.Next();", "a generator made outside Seeds"),
            ("_ = new Random(5);", "a generator made outside Seeds"),
            ("using var g = new torch.Generator(5);", "a generator made outside Seeds"),
            ("_ = torch.rand(3, 4);", "torch.rand without a generator"),
            ("_ = torch.randn(3, 4, generator: null);", "torch.randn without a generator"),
            ("_ = torch.zeros(3).normal_();", "Tensor.normal_ without a generator"),
            ("torch.random.manual_seed(3);", "random.manual_seed"),
            ("_ = torch.nn.functional.dropout(torch.zeros(3));", "functional.dropout"),
            ("_ = torch.nn.Linear(3, 4);", "nn.Linear"),
            ("_ = Guid.NewGuid();", "Guid.NewGuid"),
            ("_ = System.Security.Cryptography.RandomNumberGenerator.GetInt32(4);", "RandomNumberGenerator.GetInt32"),
            ("_ = Microsoft.ML.Dpl.Runtime.Seeds.Random(Environment.TickCount, \"x\");", "a seed from the clock"),
            ("_ = Microsoft.ML.Dpl.Runtime.Seeds.Random((int)DateTime.UtcNow.Ticks, \"x\");", "a seed from the clock"),
            ("using var g = Microsoft.ML.Dpl.Runtime.Seeds.Generator(1, \"x\"); _ = torch.rand(3, 4, generator: g);", null),
            ("_ = Microsoft.ML.Dpl.Runtime.Seeds.Random(1, \"x\").Next();", null),
            ("_ = DateTime.UtcNow; _ = torch.zeros(3);", null),
        ];
        string seeds = Path.Combine("Microsoft.ML.Dpl", "Runtime", "Seeds.cs");
        (string File, string What)[] found =
        [
            .. Violations(
                cases
                    .Select(
                        (c, i) =>
                            (
                                $"{i}.cs",
                                $"using TorchSharp; internal static class Subject{i} {{ public static void Run() {{ {c.Statement} }} }}"
                            )
                    )
                    .Append((seeds, File.ReadAllText(Path.Combine(SourceFolder, seeds))))
            ),
        ];
        for (int i = 0; i < cases.Length; i++)
            Assert.Equal(
                (cases[i].Statement, cases[i].What),
                (cases[i].Statement, found.Where(v => v.File == $"{i}.cs").Select(v => v.What).Distinct().SingleOrDefault())
            );
    }

    private static IEnumerable<(string File, string What)> Violations(IEnumerable<(string Path, string Text)> sources)
    {
        CSharpCompilation compilation = SourceCompilation.Compile("Sources", sources);
        foreach (SyntaxTree tree in compilation.SyntaxTrees)
        {
            SemanticModel model = compilation.GetSemanticModel(tree);
            foreach (SyntaxNode node in tree.GetRoot().DescendantNodes().Where(IsSuspect))
                if (What(node, model) is { } what)
                    yield return (tree.FilePath, what);
        }
    }

    /// <summary>Decides by name alone whether the node is worth a semantic lookup, which is slow.</summary>
    private static bool IsSuspect(SyntaxNode node) =>
        node switch
        {
            InvocationExpressionSyntax { Expression: MemberAccessExpressionSyntax called } => Names.Contains(called.Name.Identifier.Text)
                || SuspectTypes.Contains(called.Expression.ToString().Split('.')[^1]),
            InvocationExpressionSyntax { Expression: SimpleNameSyntax called } => Names.Contains(called.Identifier.Text),
            MemberAccessExpressionSyntax member => member.Name.Identifier.Text == "Shared",
            ObjectCreationExpressionSyntax creation => creation.Type.ToString().Split('.')[^1] is "Random" or "Generator",
            ImplicitObjectCreationExpressionSyntax => true,
            _ => false,
        };

    private static string? What(SyntaxNode node, SemanticModel model) =>
        model.GetOperation(node) switch
        {
            IPropertyReferenceOperation { Property: { Name: "Shared", ContainingType.Name: "Random" } } => "Random.Shared",
            IObjectCreationOperation { Type.Name: "Random" or "Generator" } => "a generator made outside Seeds",
            IInvocationOperation { TargetMethod: var method } call => What(method, call),
            _ => null,
        };

    private static string? What(IMethodSymbol method, IInvocationOperation call)
    {
        string type = method.ContainingType.Name,
            called = $"{type}.{method.Name}";
        if (called == "Guid.NewGuid" || type == "RandomNumberGenerator")
            return called;
        if (type == "Seeds")
            return call.Arguments.SelectMany(argument => argument.Descendants()).Any(IsClock) ? "a seed from the clock" : null;
        if (method.ContainingAssembly?.Name != "TorchSharp")
            return null;
        if (
            method.Name.Contains("manual_seed", StringComparison.Ordinal)
            || method.Name.Contains("dropout", StringComparison.OrdinalIgnoreCase)
        )
            return called;
        // Layers draw their initial weights from the global generator.
        if (type == "nn" || type == "init")
            return method.Name is "Parameter" ? null : called;
        IArgumentOperation? generator = call.Arguments.FirstOrDefault(argument => argument.Parameter?.Name == "generator");
        return
            generator
                is {
                    Value: { ConstantValue: { HasValue: true, Value: null } }
                        or IConversionOperation { Operand.ConstantValue: { HasValue: true, Value: null } }
                        or IDefaultValueOperation
                }
            ? $"{called} without a generator"
            : null;
    }

    private static bool IsClock(IOperation operation) =>
        operation switch
        {
            IPropertyReferenceOperation
            {
                Property: { ContainingType.Name: "DateTime" or "DateTimeOffset" or "TimeProvider", Name: "Now" or "UtcNow" or "Today" }
            } => true,
            IPropertyReferenceOperation
            {
                Property: { ContainingType.Name: "Environment", Name: "TickCount" or "TickCount64" or "ProcessId" }
            } => true,
            IInvocationOperation { TargetMethod: { ContainingType.Name: "Stopwatch", Name: "GetTimestamp" } } => true,
            _ => false,
        };
}
