using Drawing.Tasks;
using EuroSat;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.Dpl.Tests.Embedding;

/// <summary>CLIP's embeddings as features for ML.NET's own trainers, with the embedded CLIP.</summary>
public sealed class EmbeddingPipelineTests : IClassFixture<EmbeddingPipelineTests.LightingTask>
{
    private readonly MLContext _mlContext = new(1);
    private readonly LightingTask _task;

    public EmbeddingPipelineTests(LightingTask task) => _task = task;

    [Fact]
    public void A_linear_probe_learns_colours_under_odd_light()
    {
        double zeroShot = ZeroShot(_task.Train, _task.Test, DrawnTasks.Named("lighting").Template),
            probe = Probe(_task.Train, _task.Test);
        Assert.True(probe >= zeroShot + 0.10, $"zero-shot {zeroShot:p1}, linear probe {probe:p1}");
    }

    [Fact]
    public void A_linear_probe_learns_satellite_photographs()
    {
        LabelledPath[] train = [.. EuroSatTiles.Train.Select(tile => new LabelledPath(tile.ImagePath, tile.Label))],
            test = [.. EuroSatTiles.Test.Select(tile => new LabelledPath(tile.ImagePath, tile.Label))];
        double zeroShot = ZeroShot(train, test, EuroSatTiles.Template),
            probe = Probe(train, test);
        // Chance level is 10 %.
        Assert.True(probe >= 0.30 && probe >= zeroShot + 0.10, $"zero-shot {zeroShot:p1}, linear probe {probe:p1}");
    }

    [Fact]
    public void A_saved_probe_answers_as_before_in_a_fresh_context()
    {
        ITransformer model = ProbePipeline().Fit(Load(_task.Train));
        using var zip = new MemoryStream();
        _mlContext.Model.Save(model, Load(_task.Train).Schema, zip);
        zip.Position = 0;
        ITransformer loaded = new MLContext().Model.Load(zip, out _);
        Assert.Equal(
            model.Transform(Load(_task.Test)).GetColumn<float[]>("Score"),
            loaded.Transform(Load(_task.Test)).GetColumn<float[]>("Score")
        );
        ((IDisposable)loaded).Dispose();
        ((IDisposable)model).Dispose();
    }

    /// <summary>K-means on the small CLIP's embeddings of plain-coloured images finds the three classes without labels.</summary>
    [Fact]
    public void KMeans_finds_the_classes_without_labels()
    {
        using var images = new ColourImages();
        LabelledPath[] rows = [.. images.Train.Concat(images.Test).Select(row => new LabelledPath(row.ImagePath, row.Label))];
        var pipeline = _mlContext
            .Transforms.ClipImageEmbedding("Features", "ImagePath", ClipBackbone.TinyDrawn)
            .AppendCacheCheckpoint(_mlContext)
            .Append(_mlContext.Clustering.Trainers.KMeans("Features", numberOfClusters: 6));
        using TransformerChain<ClusteringPredictionTransformer<KMeansModelParameters>> model = pipeline.Fit(Load(rows));
        uint[] found = [.. model.Transform(Load(rows)).GetColumn<uint>("PredictedLabel")];
        double purity =
            found
                .Zip(rows, (cluster, row) => (cluster, row.Label))
                .GroupBy(pair => pair.cluster)
                .Sum(group => group.GroupBy(pair => pair.Label).Max(label => label.Count())) / (double)found.Length;
        // In random clusters of five or six images about half would belong to one class.
        Assert.True(purity >= 0.9, $"purity {purity:p1}");
    }

    [Fact]
    public void The_nearest_neighbours_of_an_image_are_of_its_class()
    {
        using ClipEmbeddingTransformer embedding = _mlContext
            .Transforms.ClipImageEmbedding("Features", "ImagePath", ClipBackbone.TinyDrawn)
            .Fit(Load(_task.Train));
        float[][] known = [.. embedding.Transform(Load(_task.Train)).GetColumn<float[]>("Features")],
            asked = [.. embedding.Transform(Load(_task.Test)).GetColumn<float[]>("Features")];
        int right = asked
            .Zip(_task.Test)
            .Count(row =>
                known
                    .Zip(_task.Train)
                    .OrderByDescending(k => Dot(k.First, row.First))
                    .Take(5)
                    .GroupBy(k => k.Second.Label)
                    .MaxBy(votes => votes.Count())!
                    .Key == row.Second.Label
            );
        Assert.True(right >= 0.75 * asked.Length, $"{right} of {asked.Length}");
    }

    [Fact]
    public void Words_find_images()
    {
        using ClipEmbeddingTransformer ofImages = _mlContext
                .Transforms.ClipImageEmbedding("Features", "ImagePath", ClipBackbone.TinyDrawn)
                .Fit(Load(_task.Test)),
            ofTexts = _mlContext.Transforms.ClipTextEmbedding("Features", "Label", ClipBackbone.TinyDrawn).Fit(Load(_task.Test));
        float[][] gallery = [.. ofImages.Transform(Load(_task.Test)).GetColumn<float[]>("Features")];
        string[] classes = [.. _task.Test.Select(row => row.Label).Distinct()];
        string template = DrawnTasks.Named("lighting").Template;
        IDataView queries = Load([.. classes.Select(name => new LabelledPath("", template.Replace("{}", name, StringComparison.Ordinal)))]);
        float[][] asked = [.. ofTexts.Transform(queries).GetColumn<float[]>("Features")];
        double precision = classes
            .Zip(asked)
            .Average(query =>
                gallery
                    .Zip(_task.Test)
                    .OrderByDescending(image => Dot(image.First, query.Second))
                    .Take(5)
                    .Average(image => image.Second.Label == query.First ? 1.0 : 0.0)
            );
        // Chance level is one in eight.
        Assert.True(precision >= 0.5, $"precision at five {precision:p1}");
    }

    private static double Dot(float[] one, float[] other) => one.Zip(other, (a, b) => (double)a * b).Sum();

    private double ZeroShot(LabelledPath[] train, LabelledPath[] test, string template)
    {
        ITransformer keys = _mlContext.Transforms.Conversion.MapValueToKey("Label").Fit(Load(train));
        using DplTransformer zeroShot = _mlContext
            .MulticlassClassification.ClipZeroShot(
                ClipBackbone.TinyDrawn,
                train.Select(row => row.Label).Distinct(),
                [template],
                nameof(LabelledPath.ImagePath)
            )
            .Fit(Load(train));
        return _mlContext.MulticlassClassification.Evaluate(zeroShot.Transform(keys.Transform(Load(test)))).MicroAccuracy;
    }

    private double Probe(LabelledPath[] train, LabelledPath[] test)
    {
        ITransformer model = ProbePipeline().Fit(Load(train));
        double accuracy = _mlContext.MulticlassClassification.Evaluate(model.Transform(Load(test))).MicroAccuracy;
        ((IDisposable)model).Dispose();
        return accuracy;
    }

    private EstimatorChain<MulticlassPredictionTransformer<MaximumEntropyModelParameters>> ProbePipeline() =>
        _mlContext
            .Transforms.Conversion.MapValueToKey("Label")
            .Append(_mlContext.Transforms.ClipImageEmbedding("Features", nameof(LabelledPath.ImagePath), ClipBackbone.TinyDrawn))
            .AppendCacheCheckpoint(_mlContext)
            .Append(
                _mlContext.MulticlassClassification.Trainers.LbfgsMaximumEntropy(
                    new LbfgsMaximumEntropyMulticlassTrainer.Options
                    {
                        L1Regularization = 0,
                        L2Regularization = 0.01f,
                        NumberOfThreads = 1,
                    }
                )
            );

    private IDataView Load(IEnumerable<LabelledPath> rows) => _mlContext.Data.LoadFromEnumerable(rows);

    /// <summary>Eight colours under coloured light.</summary>
    public sealed class LightingTask : IDisposable
    {
        private readonly TemporaryFolder _folder = new();

        public LightingTask()
        {
            DrawnTaskFiles.Write(
                DrawnTasks.Named("lighting"),
                _folder.FullPath,
                trainPerClass: 16,
                validationPerClass: 1,
                testPerClass: 20,
                seed: 7
            );
            (Train, Test) = (Read("train.tsv"), Read("test.tsv"));
        }

        internal LabelledPath[] Train { get; }

        internal LabelledPath[] Test { get; }

        public void Dispose() => _folder.Dispose();

        private LabelledPath[] Read(string table) =>
            [
                .. File.ReadLines(_folder.File(table))
                    .Skip(1)
                    .Select(line => line.Split('\t'))
                    .Select(cells => new LabelledPath(_folder.File(cells[0]), cells[1])),
            ];
    }

    internal sealed class LabelledPath(string imagePath, string label)
    {
        public LabelledPath()
            : this("", "") { }

        public string ImagePath { get; set; } = imagePath;

        public string Label { get; set; } = label;
    }
}
