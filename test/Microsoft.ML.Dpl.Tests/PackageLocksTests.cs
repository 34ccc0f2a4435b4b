using System.Text.Json;
using System.Text.Json.Nodes;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>Checks eng/locks: a restore on this system reads only this system's lock files, so the other systems' are compared with them
/// here. <c>build/lock-packages.sh</c> rewrites all of them.</summary>
public class PackageLocksTests
{
    private const string Compared = "linux",
        LibTorch = "libtorch-cpu-";

    /// <summary>The libtorch choices, and the package of each.</summary>
    private static readonly (string Choice, string? Package)[] Choices =
    [
        (Compared, LibTorch + "linux-x64"),
        ("windows", LibTorch + "win-x64"),
        ("macos", LibTorch + "osx-arm64"),
        ("none", null),
    ];

    private static readonly string Folder = Path.Combine(SharedData.RepositoryRoot, "eng", "locks");

    private static readonly string[] Parts = ["src", "samples", "test"];

    [Fact]
    public void Every_project_has_a_lock_for_every_choice()
    {
        string[] projects =
        [
            .. Parts
                .SelectMany(part =>
                    Directory.EnumerateFiles(Path.Combine(SharedData.RepositoryRoot, part), "*.csproj", SearchOption.AllDirectories)
                )
                .Select(path => Path.GetFileNameWithoutExtension(path))
                .Order(StringComparer.Ordinal),
        ];
        Assert.True(projects.Length >= 14, string.Join(' ', projects));
        foreach (var (choice, _) in Choices)
            Assert.Equal(projects.Select(project => $"{choice}/{project}"), Locks(choice).Select(name => $"{choice}/{name}"));
        Assert.Equal(
            Choices.Select(c => c.Choice).Order(StringComparer.Ordinal),
            Directory.GetDirectories(Folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)
        );
    }

    [Fact]
    public void They_differ_in_libtorch_alone_and_each_has_its_own()
    {
        var pinned = new List<(string Name, string Content)>();
        foreach (var (choice, own) in Choices)
        {
            foreach (string project in Locks(choice))
            {
                Dictionary<string, string> packages = Packages(choice, project),
                    expected = Packages(Compared, project);
                Assert.Equal(Others(expected), Others(packages));
                string[] libtorch = [.. packages.Keys.Where(name => name.Contains(LibTorch, StringComparison.Ordinal))];
                Assert.True(
                    libtorch.All(name => own is not null && name.EndsWith(own, StringComparison.Ordinal)),
                    $"eng/locks/{choice}/{project}.lock.json has {string.Join(", ", libtorch)} instead of {own ?? "none"}: run "
                        + "build/lock-packages.sh"
                );
                Assert.Equal(
                    own is not null && expected.Keys.Any(name => name.Contains(LibTorch, StringComparison.Ordinal)),
                    libtorch.Length > 0
                );
                pinned.AddRange(packages.Select(package => (package.Key.Split(' ')[1], package.Value)));
            }
        }
        // One version of a package has one hash, whichever project restores it.
        var versions = pinned.Distinct().ToLookup(package => $"{package.Name} {package.Content.Split(' ')[0]}", package => package.Content);
        Assert.True(versions.Count > 50, $"{versions.Count} packages");
        Assert.All(versions, package => Assert.Single(package));

        static IEnumerable<KeyValuePair<string, string>> Others(Dictionary<string, string> packages) =>
            packages
                .Where(package => !package.Key.Contains(LibTorch, StringComparison.Ordinal))
                .OrderBy(package => package.Key, StringComparer.Ordinal);
    }

    /// <summary>The tool is packed for the runtime of one system, whose packages are restored in addition to the others.</summary>
    [Fact]
    public void What_is_restored_for_a_runtime_is_the_systems_own_and_pinned_alike()
    {
        var runtimes = new List<string>();
        foreach (var (choice, own) in Choices)
        foreach (string project in Locks(choice))
        {
            Dictionary<string, string> packages = Packages(choice, project);
            foreach (var (target, content) in Targets(choice, project).Where(target => target.Key.Contains('/', StringComparison.Ordinal)))
            {
                string[] parts = target.Split('/');
                Assert.Equal(own?[LibTorch.Length..], parts[1]);
                runtimes.Add(choice);
                Assert.All(content, package => Assert.Equal(packages[$"{parts[0]} {package.Key}"], package.Value));
            }
        }
        Assert.Equal([Compared, "windows", "macos"], runtimes);
    }

    private static IEnumerable<string> Locks(string choice) =>
        Directory
            .GetFiles(Path.Combine(Folder, choice))
            .Select(path => Path.GetFileName(path))
            .Select(name => name.EndsWith(".lock.json", StringComparison.Ordinal) ? name[..^".lock.json".Length] : name)
            .Order(StringComparer.Ordinal);

    /// <summary>Version and SHA-512 of what a project restores, by framework and name, without the packages restored for a
    /// runtime.</summary>
    private static Dictionary<string, string> Packages(string choice, string project) =>
        Targets(choice, project)
            .Where(target => !target.Key.Contains('/', StringComparison.Ordinal))
            .SelectMany(target => target.Value.Select(package => KeyValuePair.Create($"{target.Key} {package.Key}", package.Value)))
            .ToDictionary();

    /// <summary>Version and SHA-512 by name, for each target: a framework, or a framework and a runtime separated by a slash.</summary>
    private static Dictionary<string, Dictionary<string, string>> Targets(string choice, string project) =>
        JsonNode.Parse(File.ReadAllText(Path.Combine(Folder, choice, project + ".lock.json")))!["dependencies"]!
            .AsObject()
            .ToDictionary(
                target => target.Key,
                target =>
                    target
                        .Value!.AsObject()
                        .Where(package => (string?)package.Value!["type"] != "Project")
                        .ToDictionary(
                            package => package.Key,
                            package => $"{Text(package.Value!, "resolved")} {Text(package.Value!, "contentHash")}"
                        )
            );

    private static string Text(JsonNode package, string name) =>
        (string?)package[name] is { Length: > 0 } text
            ? text
            : throw new JsonException($"A package without '{name}': {package.ToJsonString()}");
}
