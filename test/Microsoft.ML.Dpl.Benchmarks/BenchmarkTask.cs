using Drawing.Tasks;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Studies.Methods;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>Images to train and test on, 16 training and 4 validation images per class: a drawn task with the embedded CLIP, drawn into a
/// folder that is deleted with this object, or a folder of photographs with few-shot draws and a CLIP of its own.</summary>
internal sealed class BenchmarkTask : IDisposable
{
    private static readonly Dictionary<string, string> Templates = new(StringComparer.Ordinal)
    {
        ["eurosat"] = "a centered satellite photo of {}.",
        ["dtd10"] = "{} texture.",
        ["flowers102"] = "a photo of a {}, a type of flower.",
    };

    private readonly DirectoryInfo? _drawn;
    private readonly string _folder;
    private readonly string _train,
        _validation;

    private HashSet<string>? _classes; // null: all

    private BenchmarkTask(
        DirectoryInfo? drawn,
        string folder,
        (string Train, string Validation) tables,
        ClipBackbone backbone,
        string template
    )
    {
        (_drawn, _folder, Backbone, Template) = (drawn, folder, backbone, template);
        (_train, _validation) = tables;
    }

    public ClipBackbone Backbone { get; }

    public string Template { get; }

    public MLContext Context { get; } = new(seed: 1);

    public IDataView Train => Read(_train);

    public IDataView Validation => Read(_validation);

    public IDataView Test => Read("test.tsv");

    /// <param name="name">A drawn task, or a sub-folder of <paramref name="photographs"/>.</param>
    /// <param name="seed">The seed of the draw; for photographs, a draw that exists in the folder.</param>
    /// <param name="photographs">The folder with the data sets as tables: shot16-seed{n}.train.tsv, shot16-seed{n}.val.tsv and test.tsv,
    /// or, for a single draw without validation images, train.tsv and test.tsv; null: none.</param>
    /// <param name="clip">The CLIP for photographs.</param>
    public static BenchmarkTask Open(string name, int seed, string? photographs, string? clip)
    {
        if (photographs is not null && Path.Combine(photographs, name) is var folder && Directory.Exists(folder))
        {
            if (clip is null)
                throw new ArgumentException($"'{name}' has photographs: name the CLIP with --clip.");
            return new BenchmarkTask(
                null,
                folder,
                File.Exists(Path.Combine(folder, "train.tsv"))
                    ? ("train.tsv", "val.tsv")
                    : ($"shot16-seed{seed}.train.tsv", $"shot16-seed{seed}.val.tsv"),
                ClipBackbone.Open(clip),
                Templates.GetValueOrDefault(name, "a photo of a {}.")
            );
        }
        return Drawn(name, seed, testPerClass: 100);
    }

    /// <param name="name">A drawn task.</param>
    /// <param name="seed">Equal seeds give equal images.</param>
    /// <param name="testPerClass">Test images of each class, at least 1.</param>
    public static BenchmarkTask Drawn(string name, int seed, int testPerClass)
    {
        DrawnTask task = DrawnTasks.Named(name);
        DirectoryInfo drawn = Directory.CreateTempSubdirectory("dpl-evidence-");
        DrawnTaskFiles.Write(task, drawn.FullName, trainPerClass: 16, validationPerClass: 4, testPerClass, seed);
        return new BenchmarkTask(drawn, drawn.FullName, ("train.tsv", "validation.tsv"), ClipBackbone.TinyDrawn, task.Template);
    }

    /// <summary>The names of all classes, in code point order.</summary>
    public string[] ClassNames() => [.. Test.GetColumn<string>(nameof(Row.Label)).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>This task with the rows of some classes only; its folder is still owned by this object.</summary>
    public BenchmarkTask Of(IEnumerable<string> classes) =>
        new(null, _folder, (_train, _validation), Backbone, Template) { _classes = classes.ToHashSet() };

    /// <summary>Options with the CLIP, the columns and the seed; the others have the trainer's defaults.</summary>
    public DplTrainer.Options Options(int seed) =>
        new()
        {
            Backbone = Backbone,
            ImageColumnName = nameof(Row.ImagePath),
            Template = Template,
            Seed = seed,
            Images = { Folder = _folder },
        };

    /// <summary>The images in the form that the study methods take.</summary>
    /// <param name="seed">The seed of everything random.</param>
    /// <param name="warn">Receives the library's warnings.</param>
    public MethodTask ForMethod(int seed, Action<string> warn) =>
        new(Backbone, Template, [.. ClassNames().Where(name => _classes?.Contains(name) ?? true)], Rows(_train), ValidationRows(), seed)
        {
            Warn = warn,
        };

    /// <summary>Accuracy on the test images, 0 to 1, and the mean of −ln of the correct class's probability.</summary>
    public (double Accuracy, double LogLoss) Evaluate(IStudyClassifier classifier)
    {
        IReadOnlyList<ImageRow> rows = Rows("test.tsv");
        Dictionary<string, int> index = classifier.Classes.Select((name, i) => (name, i)).ToDictionary(pair => pair.name, pair => pair.i);
        (int Place, float[] Scores)[] scored =
        [
            .. rows.Zip(classifier.Probabilities(rows, CancellationToken.None), (row, scores) => (index[row.Label], scores)),
        ];
        return (
            scored.Count(row => Array.IndexOf(row.Scores, row.Scores.Max()) == row.Place) / (double)scored.Length,
            scored.Average(row => -Math.Log(Math.Max(row.Scores[row.Place], 1e-12)))
        );
    }

    public void Dispose() => _drawn?.Delete(recursive: true);

    private IReadOnlyList<ImageRow> ValidationRows() => File.Exists(Path.Combine(_folder, _validation)) ? Rows(_validation) : [];

    private IReadOnlyList<ImageRow> Rows(string table) =>
        [
            .. ImageTable
                .Read(Path.Combine(_folder, table), new TableColumns(), imageRoot: null)
                .Train.Where(row => _classes?.Contains(row.Label) ?? true),
        ];

    private IDataView Read(string table)
    {
        IDataView rows = Context.Data.CreateTextLoader<Row>(hasHeader: true).Load(new MultiFileSource(Path.Combine(_folder, table)));
        return _classes is { } kept ? Context.Data.FilterByCustomPredicate<Row>(rows, row => !kept.Contains(row.Label)) : rows;
    }

    private sealed class Row
    {
        [LoadColumn(0)]
        public string ImagePath { get; set; } = "";

        [LoadColumn(1)]
        public string Label { get; set; } = "";
    }
}
