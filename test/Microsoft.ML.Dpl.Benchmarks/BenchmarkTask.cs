using Drawing.Tasks;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>
/// Images to learn from and to test on, 16 training and 4 validation images a class: a drawn task with the embedded CLIP, drawn into a
/// folder that goes with this object, or a folder of photographs with few-shot draws and a CLIP of its own.
/// </summary>
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

    public IDataView TrainAndValidation => Read(_train, _validation);

    public IDataView Test => Read("test.tsv");

    /// <param name="name">A drawn task, or a sub-folder of <paramref name="photographs"/>.</param>
    /// <param name="seed">The draw; of photographs those that lie in the folder.</param>
    /// <param name="photographs">Folder with data sets as tables shot16-seed{n}.train.tsv, shot16-seed{n}.val.tsv, test.tsv; null:
    /// none.</param>
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
                ($"shot16-seed{seed}.train.tsv", $"shot16-seed{seed}.val.tsv"),
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
        return new BenchmarkTask(drawn, drawn.FullName, ("train.tsv", "validation.tsv"), ClipBackbone.Tiny, task.Template);
    }

    /// <summary>The names of all classes, in the order of code points.</summary>
    public string[] ClassNames() => [.. Test.GetColumn<string>(nameof(Row.Label)).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>The same with the rows of some classes only; its folder goes with this object.</summary>
    public BenchmarkTask Of(IEnumerable<string> classes) =>
        new(null, _folder, (_train, _validation), Backbone, Template) { _classes = classes.ToHashSet() };

    /// <summary>The CLIP, the columns and the seed; the rest as the trainer has it.</summary>
    public DplTrainer.Options Options(int seed) =>
        new()
        {
            Backbone = Backbone,
            ImageColumnName = nameof(Row.ImagePath),
            Template = Template,
            Seed = seed,
            Images = { Folder = _folder },
        };

    /// <summary>Share of the test images classified rightly, 0 to 1, and the mean of −ln of the right class's probability.</summary>
    public (double Accuracy, double LogLoss) Evaluate(DplTransformer model)
    {
        IDataView scored = model.Transform(Test);
        string[] truth = [.. scored.GetColumn<string>(nameof(Row.Label))],
            predicted = [.. scored.GetColumn<string>("PredictedLabel")];
        float[][] scores = [.. scored.GetColumn<float[]>("Score")];
        Dictionary<string, int> index = model.ClassNames.Select((name, i) => (name, i)).ToDictionary(pair => pair.name, pair => pair.i);
        double loss = truth.Zip(scores).Average(row => -Math.Log(Math.Max(row.Second[index[row.First]], 1e-12)));
        return (truth.Zip(predicted).Count(row => row.First == row.Second) / (double)truth.Length, loss);
    }

    public void Dispose() => _drawn?.Delete(recursive: true);

    private IDataView Read(params string[] tables)
    {
        IDataView rows = Context
            .Data.CreateTextLoader<Row>(hasHeader: true)
            .Load(new MultiFileSource([.. tables.Select(table => Path.Combine(_folder, table))]));
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
