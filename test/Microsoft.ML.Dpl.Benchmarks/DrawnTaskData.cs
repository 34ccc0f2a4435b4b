using Drawing.Tasks;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>A drawn task's images in a folder of its own, which goes with it: 16 a class to train on, 4 to validate, 25 to test.</summary>
internal sealed class DrawnTaskData : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dpl-benchmark-");
    private readonly DrawnTask _task;

    public DrawnTaskData(string taskName)
    {
        _task = DrawnTasks.Named(taskName);
        DrawnTaskFiles.Write(_task, _folder.FullName, trainPerClass: 16, validationPerClass: 4, testPerClass: 25, seed: 1);
        Context = new MLContext(1);
    }

    public MLContext Context { get; }

    public IDataView Train => Read("train.tsv");

    public IDataView Test => Read("test.tsv");

    /// <summary>The embedded CLIP and this data; the rest as the trainer has it.</summary>
    public DplTrainer.Options Options() =>
        new()
        {
            Backbone = ClipBackbone.Tiny,
            ImageColumnName = nameof(Row.ImagePath),
            Images = { Folder = _folder.FullName },
            Validation = { Set = Read("validation.tsv") },
            Template = _task.Template,
            // What these benchmarks have always measured; the comparison of the other recipe would hide in the stages' times.
            Training = { Recipe = DplRecipe.Paper },
        };

    /// <summary>Share of the test images that are classified rightly, 0 to 1, and their number.</summary>
    public (double Accuracy, int Images) Accuracy(DplTransformer transformer)
    {
        IDataView scored = transformer.Transform(Test);
        string[] truth = [.. scored.GetColumn<string>(nameof(Row.Label))],
            predicted = [.. scored.GetColumn<string>("PredictedLabel")];
        return (truth.Zip(predicted).Count(pair => pair.First == pair.Second) / (double)truth.Length, truth.Length);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private IDataView Read(string table) => Context.Data.LoadFromTextFile<Row>(Path.Combine(_folder.FullName, table), hasHeader: true);

    private sealed class Row
    {
        [LoadColumn(0)]
        public string ImagePath { get; set; } = "";

        [LoadColumn(1)]
        public string Label { get; set; } = "";
    }
}
