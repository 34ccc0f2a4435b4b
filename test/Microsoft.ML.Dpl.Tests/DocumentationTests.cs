using System.Text.RegularExpressions;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>The files and links that the documents mention exist: moving a file without updating the documents fails a test.</summary>
public partial class DocumentationTests
{
    private static readonly string Library = Path.Combine(SharedData.RepositoryRoot, "src", "Microsoft.ML.Dpl");

    private static readonly HashSet<string> Folders =
    [
        .. Directory.EnumerateDirectories(Library).Select(folder => Path.GetFileName(folder)).Where(name => name is not ("bin" or "obj")),
    ];

    [Fact]
    public void Source_files_named_by_folder_and_file_exist()
    {
        (string Document, string Path)[] named =
        [
            .. Documents()
                .SelectMany(document =>
                    FileOfLibrary().Matches(File.ReadAllText(document)).Select(match => (document, match.Groups[1].Value))
                )
                .Where(name => Folders.Contains(name.Value.Split('/')[0])),
        ];
        Assert.True(named.Length >= 80, $"The documents name only {named.Length} files of the library.");
        Assert.Empty(named.Where(name => !File.Exists(Path.Combine(Library, name.Path))).Select(Told));
    }

    [Fact]
    public void Source_files_named_alone_exist()
    {
        HashSet<string> files =
        [
            .. new[] { "src", "test", "samples" }.SelectMany(SourceCompilation.Files).Select(path => Path.GetFileName(path)),
        ];
        (string Document, string Name)[] named =
        [
            .. Documents()
                .SelectMany(document => FileAlone().Matches(File.ReadAllText(document)).Select(match => (document, match.Groups[1].Value))),
        ];
        Assert.NotEmpty(named);
        Assert.Empty(named.Where(name => !files.Contains(name.Name)).Select(Told));
    }

    /// <summary>The identifiers in the tables and walkthroughs of ARCHITECTURE.md exist, so that renaming one without updating the document
    /// is noticed.</summary>
    [Fact]
    public void Names_in_the_architecture_stand_in_the_sources()
    {
        string text = CodeFence().Replace(File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "docs", "ARCHITECTURE.md")), "");
        HashSet<string> words =
        [
            .. new[] { "src", "test" }
                .SelectMany(SourceCompilation.Files)
                .SelectMany(path => Word().Matches(File.ReadAllText(path)).Select(match => match.Value)),
        ];
        string[] named =
        [
            .. NameInCode()
                .Matches(text)
                .Select(match => match.Groups[1].Value)
                .Where(name => !name.EndsWith(".cs", StringComparison.Ordinal))
                .Distinct(),
        ];
        Assert.True(named.Length >= 25, $"The architecture names only {named.Length} things.");
        Assert.DoesNotContain(named, name => !name.Split('.').All(words.Contains));
    }

    [Fact]
    public void Paths_from_the_top_folder_exist()
    {
        (string Document, string Path)[] named =
        [
            .. Documents()
                .SelectMany(document =>
                    PathFromTop().Matches(File.ReadAllText(document)).Select(match => (document, match.Groups[1].Value))
                ),
        ];
        Assert.NotEmpty(named);
        Assert.Empty(named.Where(name => !Path.Exists(Path.Combine(SharedData.RepositoryRoot, name.Path.TrimEnd('.')))).Select(Told));
    }

    [Fact]
    public void Relative_links_lead_to_files_and_headings_that_exist()
    {
        foreach (string document in Documents())
        {
            foreach (Match link in Link().Matches(File.ReadAllText(document)))
            {
                string target = link.Groups["path"].Value is { Length: > 0 } path
                    ? Path.Combine(Path.GetDirectoryName(document)!, path)
                    : document;
                Assert.True(Path.Exists(target), Told((document, link.Value)));
                if (link.Groups["heading"].Value is { Length: > 0 } heading)
                    Assert.True(Headings(target).Contains(heading), $"{Told((document, link.Value))}: there is no such heading");
            }
        }
    }

    [Fact]
    public void Every_folder_of_the_library_is_described()
    {
        string architecture = File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "docs", "ARCHITECTURE.md"));
        Assert.All(Folders, folder => Assert.Contains($"| `{folder}/` |", architecture, StringComparison.Ordinal));
    }

    /// <summary>The documents of the repository and of its packages.</summary>
    private static string[] Documents() =>
        [
            .. Directory
                .EnumerateFiles(SharedData.RepositoryRoot, "*.md")
                .Where(path => Path.GetFileName(path) != "THIRD-PARTY-NOTICES.md"),
            .. Directory.EnumerateFiles(Path.Combine(SharedData.RepositoryRoot, "docs"), "*.md"),
            .. Directory
                .EnumerateDirectories(Path.Combine(SharedData.RepositoryRoot, "src"))
                .Select(project => Path.Combine(project, "README.md"))
                .Where(File.Exists),
        ];

    /// <summary>The headings of a document in the form of link anchors.</summary>
    private static IEnumerable<string> Headings(string document) =>
        File.ReadLines(document)
            .Where(line => line.StartsWith('#'))
            .Select(line => NotInAnchor().Replace(line.TrimStart('#').Trim().ToLowerInvariant(), "").Replace(' ', '-'));

    private static string Told((string Document, string Named) found) =>
        $"{Path.GetRelativePath(SharedData.RepositoryRoot, found.Document)} names {found.Named}";

    [GeneratedRegex(@"`([A-Z][A-Za-z]+/[A-Za-z.]+\.cs)`")]
    private static partial Regex FileOfLibrary();

    [GeneratedRegex(@"`([A-Z][A-Za-z.]+\.cs)`")]
    private static partial Regex FileAlone();

    [GeneratedRegex(@"`([A-Z][\w.]*)(?:<T>|\(\))?`")]
    private static partial Regex NameInCode();

    [GeneratedRegex(@"^```.*?^```", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex CodeFence();

    [GeneratedRegex(@"\w+")]
    private static partial Regex Word();

    [GeneratedRegex(@"(?<![\w./])((?:src|samples|test|build|eng|docs)/[\w./-]+)")]
    private static partial Regex PathFromTop();

    [GeneratedRegex(@"\]\((?!https?:)(?<path>[^)#]*)(?:#(?<heading>[^)]+))?\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex NotInAnchor();
}
