using Drawing.Tasks;

namespace Microsoft.ML.Dpl.Tool.Tests;

/// <summary>A small drawn task and a model fitted to it by the command, shared by the tests.</summary>
public sealed class DrawnData : IDisposable
{
    /// <summary>Options that make a fit short.</summary>
    internal static readonly string[] Short =
    [
        "--search-epochs",
        "1",
        "--training-epochs",
        "1",
        "--candidates",
        "0",
        "2",
        "--batch-size",
        "8",
        "--validation-per-class",
        "1",
        "--threads",
        "2",
    ];

    private readonly Lazy<Task<ToolProcess.Outcome>> _fit;

    public DrawnData()
    {
        Folder = Directory.CreateTempSubdirectory("dpl-tool-test-").FullName;
        DrawnTaskFiles.Write(
            DrawnTasks.Named("lighting"),
            Path.Combine(Folder, "lighting"),
            trainPerClass: 3,
            validationPerClass: 1,
            testPerClass: 2,
            seed: 1
        );
        _fit = new Lazy<Task<ToolProcess.Outcome>>(() =>
            ToolProcess.Run(["fit", Table("train"), "--test", Table("test"), "--clip", "tiny-drawn", "--output", Model, .. Short])
        );
    }

    public string Folder { get; }

    /// <summary>The model of <see cref="Fit"/>.</summary>
    public string Model => File("model.zip");

    public string File(string name) => Path.Combine(Folder, name);

    public string Table(string split) => File($"lighting/{split}.tsv");

    /// <summary>Full path and class of the rows of a table.</summary>
    public IReadOnlyList<(string Path, string Label)> Rows(string split) =>
        [
            .. System
                .IO.File.ReadLines(Table(split))
                .Skip(1)
                .Select(line => line.Split('\t'))
                .Select(fields => (File($"lighting/{fields[0]}"), fields[1])),
        ];

    /// <summary>Fits on the first call only.</summary>
    internal Task<ToolProcess.Outcome> Fit() => _fit.Value;

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}

/// <summary>Tests that share the data run one after another, because each starts a process that uses all cores.</summary>
[CollectionDefinition(Name)]
public sealed class DrawnDataCollection : ICollectionFixture<DrawnData>
{
    public const string Name = "drawn data";
}
