using System.Text;
using System.Text.Json.Nodes;
using System.Xml.Linq;

namespace Microsoft.ML.Dpl.Tool.Tests;

/// <summary>The text of THIRD-PARTY-NOTICES.md, made from the packages that NuGet restored for the tool, which ships everything the other
/// projects reference, and for the plots, which are shipped in a folder of their own.</summary>
internal sealed class ThirdPartyNotices(string repositoryRoot)
{
    private const string LibTorch = "libtorch-cpu-";

    /// <summary>A package whose files are shipped.</summary>
    /// <param name="Name">Its id; the libtorch package of one system stands for those of all systems.</param>
    /// <param name="Version">The restored version.</param>
    /// <param name="Licence">An SPDX expression.</param>
    /// <param name="Holder">Its copyright line, or else its authors.</param>
    /// <param name="Project">The address of its project; may be empty.</param>
    internal sealed record Package(string Name, string Version, string Licence, string Holder, string Project);

    private string LicenceFolder => Path.Combine(repositoryRoot, "eng", "licences");

    public string FilePath => Path.Combine(repositoryRoot, "THIRD-PARTY-NOTICES.md");

    /// <summary>The packages that contribute files to the tool, ordered by name.</summary>
    /// <exception cref="InvalidDataException">A package does not say what licence it has.</exception>
    public IReadOnlyList<Package> Packages()
    {
        return
        [
            .. new[] { "Microsoft.ML.Dpl.Tool", "Microsoft.ML.Dpl.Plots" }
                .SelectMany(PackagesOf)
                .Distinct()
                .OrderBy(p => p.Name, StringComparer.OrdinalIgnoreCase)
                .ThenBy(p => p.Version, StringComparer.Ordinal),
        ];
    }

    private List<Package> PackagesOf(string project)
    {
        JsonNode assets = JsonNode.Parse(File.ReadAllText(Path.Combine(repositoryRoot, "src", project, "obj", "project.assets.json")))!;
        string[] folders = [.. assets["packageFolders"]!.AsObject().Select(folder => folder.Key)];
        var packages = new List<Package>();
        // libtorch's files are included by items of the project itself, see its project file.
        foreach (var (key, library) in assets["targets"]!.AsObject().First().Value!.AsObject())
        {
            if ((string?)library!["type"] != "package" || !(BringsFiles(library) || key.StartsWith(LibTorch, StringComparison.Ordinal)))
                continue;
            string path = (string)assets["libraries"]![key]!["path"]!;
            string folder = folders.Select(root => Path.Combine(root, path)).First(Directory.Exists);
            XElement metadata = XDocument
                .Load(Directory.GetFiles(folder, "*.nuspec").Single())
                .Root!.Elements()
                .Single(e => e.Name.LocalName == "metadata");
            string Text(string name) =>
                string.Join(
                    ' ',
                    (metadata.Elements().FirstOrDefault(e => e.Name.LocalName == name)?.Value ?? "").Split(
                        (char[]?)null,
                        StringSplitOptions.RemoveEmptyEntries
                    )
                );
            string name = Text("id");
            packages.Add(
                new Package(
                    name.StartsWith(LibTorch, StringComparison.Ordinal) ? LibTorch + "…" : name,
                    Text("version"),
                    Licence(name, metadata, Text("licenseUrl")),
                    Text("copyright") is { Length: > 0 } copyright ? copyright : Text("authors"),
                    Text("projectUrl")
                )
            );
        }
        return packages;
    }

    /// <summary>The whole file.</summary>
    /// <exception cref="FileNotFoundException">A licence's text is missing in eng/licences.</exception>
    public string Text()
    {
        var text = new StringBuilder(Read("notices.md"));
        text.Append("\n| package | version | licence | copyright | project |\n|---|---|---|---|---|\n");
        IReadOnlyList<Package> packages = Packages();
        foreach (Package p in packages)
            text.Append(
                $"| {p.Name} | {p.Version} | {p.Licence} | {p.Holder.Replace("|", "\\|", StringComparison.Ordinal)} | {p.Project} |\n"
            );
        text.Append('\n').Append(Read("parts.md"));
        foreach (string licence in packages.Select(p => p.Licence).Distinct().Order(StringComparer.Ordinal))
            text.Append($"\n## {licence}\n\n").Append(Read(licence + ".txt"));
        return text.ToString();
    }

    private string Read(string name) => File.ReadAllText(Path.Combine(LicenceFolder, name)).ReplaceLineEndings("\n");

    private static bool BringsFiles(JsonNode library) =>
        new[] { "runtime", "native", "runtimeTargets", "resource" }.Any(kind =>
            library[kind] is JsonObject files && files.Any(file => Path.GetFileName(file.Key) != "_._")
        );

    private static string Licence(string name, XElement metadata, string url)
    {
        XElement? licence = metadata.Elements().FirstOrDefault(e => e.Name.LocalName == "license");
        if ((string?)licence?.Attribute("type") == "expression")
            return licence!.Value.Trim();
        // Older packages of .NET point to the licence of its repository instead.
        if (url == "https://github.com/dotnet/corefx/blob/master/LICENSE.TXT")
            return "MIT";
        // These two packages contain their licence as a file, LICENSE or LICENSE.txt, which was read; the parts of ONNX Runtime are in
        // parts.md.
        if (name is "Microsoft.ML.OnnxRuntime" or "Microsoft.ML.OnnxRuntime.Managed")
            return "MIT";
        throw new InvalidDataException(
            $"{name} names no licence as an SPDX expression ('{licence?.Value ?? url}'): find out which it is and add the case here."
        );
    }
}
