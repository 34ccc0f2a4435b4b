using System.Globalization;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Studies.DataSets;

namespace Microsoft.ML.Dpl.Tool.Studies.Plan;

/// <summary>A data set of a plan: a known one in the plan's data folder, or the user's own.</summary>
internal sealed class PlanDataSet
{
    private const string SeedMark = "{seed}";

    private readonly PlanNode _node;
    private readonly string _folder;
    private readonly KnownDataSet? _known;
    private readonly string? _train,
        _validation,
        _test,
        _imageRoot;

    private PlanDataSet(PlanNode node, KnownDataSet known, string folder) =>
        (_node, _known, _folder, Name, Template) = (node, known, folder, known.Name, KnownDataSets.Template(known));

    private PlanDataSet(PlanNode node, string folder)
    {
        (_node, _folder) = (node, folder);
        Name = node.Require("name", "\"my photos\"").Text();
        _train = node.Require("train", "a folder or table").Text();
        _validation = node.Get("validation")?.Text();
        _test = node.Get("test")?.Text();
        _imageRoot = node.Get("imageRoot")?.Text();
        Template = node.Get("template") is { } template ? TemplateOf(template) : ClassTemplate.Default;
        node.RequireNoOthers();
    }

    /// <summary>Name in results and tables.</summary>
    public string Name { get; }

    /// <summary>The template of a class's text; {} stands for the class name.</summary>
    public string Template { get; }

    /// <summary>The paths of its images as given in the plan; for a known data set its name.</summary>
    public string Paths => _known?.Name ?? string.Join(" + ", GivenPaths.Select(path => path ?? "-"));

    /// <summary>Whether the paths depend on the seed, so that even the results of methods that learn nothing depend on it.</summary>
    public bool HasSeed => GivenPaths.Any(path => path?.Contains(SeedMark, StringComparison.Ordinal) == true);

    /// <summary>Whether there are no images to train on.</summary>
    public bool IsForTestsOnly => _known?.IsForTestsOnly ?? false;

    /// <param name="node">A known name, or an object.</param>
    /// <param name="planFolder">Folder that relative paths are resolved against.</param>
    /// <param name="root">Folder of the known data sets as given in the plan; null if none is given.</param>
    public static PlanDataSet Read(PlanNode node, string planFolder, string? root)
    {
        if (!node.IsText)
            return new PlanDataSet(node, planFolder);
        string name = node.Text();
        KnownDataSet known = KnownDataSets.Find(name)
            ?? throw node.Wrong(
                $"names the unknown data set '{name}'; the known ones are {string.Join(", ", KnownDataSets.All.Select(all => all.Name))}; "
                    + "own data is an object with name, train and test."
            );
        return root is null
            ? throw node.Wrong($"names '{name}', but the plan has no 'data': give the folder with CoOp's data sets, there or with --data.")
            : new PlanDataSet(node, known, Path.Combine(Path.GetFullPath(root, planFolder), known.Folder));
    }

    /// <summary>Reads the rows for a seed, without opening any image.</summary>
    /// <exception cref="InvalidDataException">Something is missing or cannot be read; the message names the property.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public ImageSets Read(int seed, Action<string> warn, CancellationToken cancellationToken)
    {
        try
        {
            return _known is null ? ReadOwn(seed, warn, cancellationToken) : ReadKnown(_known, cancellationToken);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException && !IsOurs(e))
        {
            throw _node.Wrong($"cannot be read: {e.Message}");
        }

        bool IsOurs(Exception e) => e.Message.StartsWith("The plan '", StringComparison.Ordinal);
    }

    private IEnumerable<string?> GivenPaths => [_train, _validation, _test, _imageRoot];

    private ImageSets ReadKnown(KnownDataSet known, CancellationToken cancellationToken)
    {
        string[] lacking = [.. known.Contents.Where(part => !Path.Exists(Path.Combine(_folder, part)))];
        return lacking.Length == 0
            ? known.Read(_folder, cancellationToken)
            : throw _node.Wrong(
                $"names '{known.Name}', but '{_folder}' {(Directory.Exists(_folder) ? $"lacks {lacking[0]}" : "is not there")}: "
                    + "dpl data check says what belongs there."
            );
    }

    private ImageSets ReadOwn(int seed, Action<string> warn, CancellationToken cancellationToken)
    {
        ImageSets Open(string path, bool isFirst) =>
            ImageData.Read(
                Full(path, seed),
                new TableColumns(NeedsAll: isFirst),
                _imageRoot is null ? null : Full(_imageRoot, seed),
                warn,
                cancellationToken
            );
        ImageSets sets = Open(_train!, isFirst: true);
        if (_validation is not null)
            sets = sets with { Validation = [.. Open(_validation, isFirst: false).All], ValidationSource = _validation };
        return _test is null ? sets : sets with { Test = [.. Open(_test, isFirst: false).ToEvaluate], TestSource = _test };
    }

    private string Full(string path, int seed) =>
        Path.GetFullPath(path.Replace(SeedMark, seed.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal), _folder);

    private static string TemplateOf(PlanNode node)
    {
        string text = node.Text();
        return ClassTemplate.IsValid(text) ? text : throw node.Wrong("must hold {} once, where the class name goes.");
    }
}
