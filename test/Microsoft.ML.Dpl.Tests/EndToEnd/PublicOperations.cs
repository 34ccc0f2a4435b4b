using System.Reflection;
using System.Runtime.CompilerServices;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Tests.Fit;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Everything that a user can call, each with a way to call it. A test compares the names with those that the library has: a new
/// public member needs an entry here.</summary>
internal static partial class PublicOperations
{
    /// <summary>The operations by the names that <see cref="NamesIn"/> gives, and further ones that ML.NET calls or that end in an
    /// exception.</summary>
    public static IReadOnlyDictionary<string, Operation> All { get; } =
        LibraryOperations().Concat(Others()).ToDictionary(o => o.Key, o => o.Value);

    /// <summary>The names of those members that are a table's entries for the public surface.</summary>
    public static IEnumerable<string> OfMembers => LibraryOperations().Select(o => o.Key);

    /// <summary>All public constructors, methods and computed properties: no enumerations, and nothing that a compiler made for records and
    /// stored properties.</summary>
    public static IEnumerable<string> NamesIn(Assembly assembly) =>
        assembly
            .GetExportedTypes()
            .Where(type => !type.IsEnum)
            .SelectMany(type =>
                type.GetMembers(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)
                    .OfType<MethodBase>()
                    .Where(member =>
                        !member.IsDefined(typeof(CompilerGeneratedAttribute))
                        && !(member.IsConstructor && type.GetMethod("<Clone>$") is not null)
                    )
                    .Select(member =>
                        $"{(type.DeclaringType is { } outer ? outer.Name + "." : "")}{type.Name}.{member.Name}"
                        + $"({string.Join(", ", member.GetParameters().Select(p => p.ParameterType.Name))})"
                    )
            );

    private static IEnumerable<KeyValuePair<string, Operation>> LibraryOperations() =>
        Members().Concat(FileMembers()).Concat(DesignMembers()).Concat(EmbeddingMembers()).Concat(PredictionMembers());

    private static IEnumerable<KeyValuePair<string, Operation>> Members() =>
        new Dictionary<string, Operation>
        {
            ["ClassExplanation.Draw(MLImage, Double)"] = new(w => w.Explanation.Draw(w.Image).Dispose()),
            ["ClipBackbone.get_Sha256()"] = new(w => Assert.Equal(64, ClipBackbone.FromFolder(w.Small.Folder).Sha256.Length)),
            ["ClipBackbone.ToString()"] = new(w => Assert.NotEmpty(w.Small.Backbone.ToString())),
            ["ClipBackbone.get_HasTextTower()"] = new(w => Assert.True(w.Small.Backbone.HasTextTower)),
            ["ClipBackbone.get_Tiny()"] = new(_ => Assert.NotNull(ClipBackbone.Tiny)),
            ["ClipBackbone.get_TinyDrawn()"] = new(_ => Assert.NotNull(ClipBackbone.TinyDrawn)),
            ["ClipBackbone.FromFolder(String)"] = new(w => ClipBackbone.FromFolder(w.Small.Folder)),
            ["ClipBackbone.FromOpenAI(String, String)"] = new(w =>
                Assert.ThrowsAny<InvalidDataException>(() =>
                    ClipBackbone.FromOpenAI(Path.Combine(w.Small.Folder, "model.safetensors"), Path.Combine(w.Small.Folder, "vocab.json"))
                )
            ),
            ["ClipBackbone.Open(String)"] = new(w => ClipBackbone.Open(w.Small.Folder)),
            ["ClipTemplates.Named(String)"] = new(_ => Assert.Equal(80, ClipTemplates.Named("imagenet-80").Count)),
            ["ClipConfig.get_Grid()"] = new(w => Assert.Equal(3, w.Small.Backbone.Config.Grid)),
            [
                "DplCatalog.DifferentiablePromptLearning(MulticlassClassificationTrainers, ClipBackbone, String, String, IDataView, "
                    + "PromptConfiguration, String)"
            ] = new(w => w.Trainers.DifferentiablePromptLearning(w.Small.Backbone, "Label", "ImagePath")),
            ["DplCatalog.DifferentiablePromptLearning(MulticlassClassificationTrainers, Options)"] = new(w =>
                w.Trainers.DifferentiablePromptLearning(w.Options())
            ),
            ["DplCatalog.SaveWhole(ModelOperationsCatalog, ITransformer, DataViewSchema, String)"] = new(w =>
            {
                using var folder = new TemporaryFolder();
                w.Context.Model.SaveWhole(w.Trained, w.Train.Schema, folder.File("new/model.zip"));
                Assert.Equal(w.Trained.Configuration.ToString(), ModelInfo.Read(folder.File("new/model.zip")).Configuration.ToString());
            }),
            ["ClipBackbone.Register()"] = new(w => w.Small.Backbone.Register()),
            ["ClassWeights..ctor(IReadOnlyDictionary`2)"] = new(_ =>
                Assert.NotNull(new ClassWeights(new Dictionary<string, double> { ["a"] = 1 }))
            ),
            ["ClassWeights.op_Implicit(Dictionary`2)"] = new(_ =>
                Assert.NotNull((ClassWeights)new Dictionary<string, double> { ["a"] = 1 })
            ),
            ["EpochMetrics..ctor()"] = new(_ => Assert.Null(new EpochMetrics { TrainLoss = 1 }.ValidationLoss)),
            ["FitProgress..ctor()"] = new(_ => Assert.Null(World.Progress.EndedEpoch)),
            ["FitProgress.get_Fraction()"] = new(_ => Assert.Equal(1, World.Progress.Fraction)),
            ["FitProgress.ToString()"] = new(_ => Assert.NotEmpty(World.Progress.ToString())),
            ["SearchReport.get_TextConfidence()"] = new(w => Assert.NotEmpty(w.Searched.TextConfidence)),
            ["SearchReport.get_ImageConfidence()"] = new(w => Assert.NotEmpty(w.Searched.ImageConfidence)),
            ["DplTrainer.Fit(IDataView)"] = new(w => w.Fit().Dispose(), World.GivenLengths),
            ["DplTrainer.GetOutputSchema(SchemaShape)"] = new(w =>
                w.Trainers.DifferentiablePromptLearning(w.Options()).GetOutputSchema(MLNetInternals.ShapeOf(w.Train.Schema))
            ),
            ["DplTransformer.Transform(IDataView, CancellationToken)"] = new(w =>
                Assert.ThrowsAny<OperationCanceledException>(() =>
                    w.Trained.Transform(w.Train, new CancellationToken(canceled: true)).GetColumn<float[]>("Score").Count()
                )
            ),
            ["DplTransformer.get_Finalists()"] = new(w => Assert.Empty(w.Trained.Finalists)),
            ["DplTrainer.TrainingOptions.DefaultBatchSize(TrainingRecipe)"] = new(_ =>
                Assert.Equal(4, DplTrainer.TrainingOptions.DefaultBatchSize(TrainingRecipe.Paper))
            ),
            ["DplTrainer.Options..ctor()"] = new(_ => Assert.NotNull(new DplTrainer.Options())),
            ["DplTransformer.get_ClassNames()"] = new(w => Assert.Equal(3, w.Trained.ClassNames.Count)),
            ["DplTransformer.get_ValidationAccuracy()"] = new(w => Assert.Null(w.Trained.ValidationAccuracy)),
            ["DplTransformer.get_WasCancelled()"] = new(w => Assert.False(w.Trained.WasCancelled)),
            ["DplTransformer.get_HasDiverged()"] = new(w => Assert.False(w.Trained.HasDiverged)),
            ["TrainedMixture..ctor(IReadOnlyList`1, IReadOnlyList`1, IReadOnlyList`1)"] = new(_ =>
                Assert.Equal(
                    [0, 1],
                    new TrainedMixture(
                        [0, 1],
                        [
                            [0.5f, 0.5f],
                        ],
                        [
                            [1, 0],
                        ]
                    ).CandidateLengths
                )
            ),
            ["DplTransformer.get_Mixture()"] = new(w => Assert.Null(w.Trained.Mixture)),
            ["DplTransformer.get_Template()"] = new(w => Assert.NotEmpty(w.Trained.Template)),
            ["DplTransformer.get_Contents()"] = new(w => Assert.Equal(ModelContents.PromptsOnly, w.Trained.Contents)),
            ["DplTransformer.get_OnnxPrecision()"] = new(w => Assert.Equal(OnnxPrecision.Float32, w.Trained.OnnxPrecision)),
            ["DplTransformer.set_OnnxPrecision(OnnxPrecision)"] = new(w => w.Trained.OnnxPrecision = OnnxPrecision.Float32),
            ["DplTransformer.set_Contents(ModelContents)"] = new(w => w.Trained.Contents = ModelContents.PromptsOnly),
            ["DplTransformer.GetOutputSchema(DataViewSchema)"] = new(w => w.Trained.GetOutputSchema(w.Train.Schema)),
            ["DplTransformer.Transform(IDataView)"] = new(w =>
                Assert.Equal(18, w.Trained.Transform(w.Train).GetColumn<float[]>("Score").Count())
            ),
            ["DplTransformer.Explain(MLImage, String)"] = new(w => w.Trained.Explain(w.Image, "red")),
            ["DplTransformer.WithClasses(IEnumerable`1)"] = new(w => w.Trained.WithClasses(["a", "b"]).Dispose(), World.TextLayers),
            ["DplTransformer.NearestWords(Int32, Int32, WordDistance)"] = new(w => w.Trained.NearestWords(0, 3)),
            ["DplTransformer.Dispose()"] = new(w => w.Load(ModelContents.PromptsOnly).Dispose()),
            ["PromptConfiguration..ctor(IReadOnlyList`1, IReadOnlyList`1)"] = new(_ => Assert.NotNull(new PromptConfiguration([1], [2]))),
            ["PromptConfiguration.get_IsZeroShot()"] = new(w => Assert.False(w.Trained.Configuration.IsZeroShot)),
            ["PromptConfiguration.Uniform(ClipBackbone, Int32)"] = new(w => PromptConfiguration.Uniform(w.Small.Backbone, 1)),
            ["PromptConfiguration.ZeroShot(ClipBackbone)"] = new(w => PromptConfiguration.ZeroShot(w.Small.Backbone)),
            ["PromptConfiguration.Parse(String)"] = new(_ => PromptConfiguration.Parse("text 1 | image 2")),
            ["PromptConfiguration.FromJson(String)"] = new(w => PromptConfiguration.FromJson(w.Trained.Configuration.ToJson())),
            ["PromptConfiguration.ToJson()"] = new(w => w.Trained.Configuration.ToJson()),
            ["PromptConfiguration.ToString()"] = new(w => Assert.NotEmpty(w.Trained.Configuration.ToString())),
            ["PromptConfiguration.Equals(PromptConfiguration)"] = new(w =>
                Assert.True(w.Trained.Configuration.Equals(PromptConfiguration.Uniform(w.Small.Backbone, 1)))
            ),
            ["PromptConfiguration.Equals(Object)"] = new(w => Assert.False(w.Trained.Configuration.Equals((object)"text"))),
            ["PromptConfiguration.GetHashCode()"] = new(w => w.Trained.Configuration.GetHashCode()),
        };

    /// <summary>What comes through ML.NET's interfaces, and ways that end in an exception.</summary>
    private static IEnumerable<KeyValuePair<string, Operation>> Others() =>
        new Dictionary<string, Operation>
        {
            ["A prediction engine"] = new(w => w.Predict()),
            ["Saving and loading prompts"] = new(w => w.Load(ModelContents.PromptsOnly).Dispose()),
            ["Saving and loading with the image tower"] = new(w => w.Load(ModelContents.WithImageTower).Dispose()),
            ["Saving and loading with CLIP"] = new(w => w.Load(ModelContents.WithClip).Dispose()),
            ["Loading a zip cut short"] = new(w => Assert.ThrowsAny<Exception>(() => w.Load(ModelContents.WithClip, cut: true))),
            ["A bad image in the middle of a batch"] = new(w =>
                Assert.ThrowsAny<InvalidOperationException>(() => w.Trained.Transform(w.WithBadImage).GetColumn<float[]>("Score").Count())
            ),
            ["A cursor left in the middle"] = new(w =>
            {
                IDataView scored = w.Trained.Transform(w.Train);
                using DataViewRowCursor cursor = scored.GetRowCursor(scored.Schema);
                Assert.True(cursor.MoveNext());
                VBuffer<float> score = default;
                cursor.GetGetter<VBuffer<float>>(scored.Schema["Score"])(ref score);
            }),
            ["A fit that finds another's checkpoint"] = new(
                w =>
                    InFolder(folder =>
                    {
                        void Here(DplTrainer.Options o) => (o.Compute.WorkspacePath, o.Training.BatchSize) = (folder, 9);
                        Assert.Throws<OperationCanceledException>(() =>
                            w.Fit(o =>
                            {
                                Here(o);
                                w.Cancelled(o, InterruptionBehavior.Throw);
                            })
                        );
                        Assert.Contains(
                            "Training.BatchSize was 9 and is 4",
                            Assert
                                .Throws<InvalidOperationException>(() =>
                                    w.Fit(o =>
                                    {
                                        Here(o);
                                        (o.Training.BatchSize, o.Validation.RowsPerClass) = (4, 1);
                                    })
                                )
                                .Message
                        );
                    }),
                World.GivenLengths
            ),
            ["A fit with a bad image in the middle"] = new(w =>
                Assert.ThrowsAny<InvalidOperationException>(() => w.Fit(data: w.WithBadImage))
            ),
            ["A search whose progress fails"] = new(
                w => Assert.Throws<World.ReportFailure>(() => w.Fit(o => w.Searching(o, failing: FitStage.Search))),
                World.SearchOnly
            ),
            ["A training whose progress fails"] = new(
                w => Assert.Throws<World.ReportFailure>(() => w.Fit(o => w.Searching(o, failing: FitStage.Training))),
                World.BothStages
            ),
            ["A cancelled fit"] = new(
                w => Assert.Throws<OperationCanceledException>(() => w.Fit(o => w.Cancelled(o, InterruptionBehavior.Throw))),
                World.GivenLengths
            ),
            ["A cancelled fit that returns its best"] = new(
                w => w.Fit(o => w.Cancelled(o, InterruptionBehavior.ReturnBest)).Dispose(),
                World.GivenLengths
            ),
            ["A diverged fit"] = new(w => Assert.Throws<DivergedException>(() => w.Fit(w.Diverging)), World.GivenLengths),
            ["A diverged fit that returns its best"] = new(
                w =>
                    w.Fit(o =>
                        {
                            w.Diverging(o);
                            o.OnDivergence = InterruptionBehavior.ReturnBest;
                        })
                        .Dispose(),
                World.GivenLengths
            ),
            ["New classes that CLIP reads alike"] = new(w => Assert.Throws<ArgumentException>(() => w.Trained.WithClasses(["a_b", "a b"]))),
            ["New classes of an image tower alone"] = new(w =>
            {
                using DplTransformer loaded = w.Load(ModelContents.WithImageTower);
                Assert.Throws<InvalidOperationException>(() => loaded.WithClasses(["a", "b"]));
            }),
            ["An explanation of no class"] = new(w => Assert.Throws<ArgumentException>(() => w.Trained.Explain(w.Image, "violet"))),
            ["Words of no layer"] = new(w => Assert.Throws<ArgumentOutOfRangeException>(() => w.Trained.NearestWords(99, 1))),
            ["More words than there are"] = new(w => Assert.Throws<ArgumentOutOfRangeException>(() => w.Trained.NearestWords(0, 99_999))),
        };

    /// <summary>One thing to do.</summary>
    /// <param name="Run">Does it, and disposes what it gives.</param>
    /// <param name="Parameters">How many of TorchSharp's <c>Parameter</c>s it makes: TorchSharp counts each once more than it frees. Null:
    /// none.</param>
    public sealed record Operation(Action<World> Run, Func<World, int>? Parameters = null);

    /// <summary>What the operations work on.</summary>
    public sealed class World : IDisposable
    {
        private readonly Dictionary<ModelContents, byte[]> _zips = [];

        public World()
        {
            Train = Context.Data.LoadFromEnumerable(Images.Train);
            WithBadImage = Context.Data.LoadFromEnumerable(
                (LabelledImage[])
                    [.. Images.Train.Take(10), new LabelledImage { ImagePath = "/missing/a.png", Label = "red" }, .. Images.Train.Skip(10)]
            );
            Image = MLImage.CreateFromFile(Images.Test[0].ImagePath);
            Trained = Fit();
            Explanation = Trained.Explain(Image);
            using DplTransformer searched = Fit(o => Searching(o, failing: null));
            Searched = searched.SearchReport!;
        }

        /// <summary>A progress that fails.</summary>
        public sealed class ReportFailure : Exception;

        public static FitProgress Progress =>
            new()
            {
                Stage = FitStage.Search,
                Epoch = 1,
                Epochs = 1,
                Step = 1,
                Steps = 1,
                LearningRate = 0.1,
                TrainLoss = 1,
            };

        public MLContext Context { get; } = new(1);

        public SmallBackbone Small { get; } = new();

        public ColourImages Images { get; } = new();

        public IDataView Train { get; }

        public IDataView WithBadImage { get; }

        public MLImage Image { get; }

        public DplTransformer Trained { get; }

        public ClassExplanation Explanation { get; }

        public SearchReport Searched { get; }

        public MulticlassClassificationCatalog.MulticlassClassificationTrainers Trainers => Context.MulticlassClassification.Trainers;

        /// <summary>A prompt for every layer, the task residual, and the temperature.</summary>
        public static int GivenLengths(World world) => 2 + Layers(world);

        /// <summary>Alphas of two branches, the task residual, the temperature, and prompts for every layer.</summary>
        public static int SearchOnly(World world) => 4 + Layers(world);

        /// <summary>Those of the search and its choice, which nothing is trained from.</summary>
        public static int SearchAlone(World world) => 5 + 2 * Layers(world);

        /// <summary>Those of the search, its choice, and what is trained.</summary>
        public static int BothStages(World world) => 7 + 3 * Layers(world);

        public static int TextLayers(World world) => world.Small.Backbone.Config.Text.Layers;

        public DplTrainer.Options Options() =>
            new()
            {
                Backbone = Small.Backbone,
                ImageColumnName = "ImagePath",
                Configuration = PromptConfiguration.Uniform(Small.Backbone, 1),
                Training =
                {
                    Epochs = 2,
                    BatchSize = 9,
                    DistillationWeight = 0.1,
                },
            };

        public void Searching(DplTrainer.Options options, FitStage? failing)
        {
            (options.Configuration, options.Search.CandidateLengths, options.Search.Epochs) = (null, [0, 1], 2);
            (options.Search.Compare, options.Validation.RowsPerClass) = (false, 1);
            options.Progress = new ProgressRecorder(report =>
            {
                if (report.Stage == failing && report.Epoch == 2)
                    throw new ReportFailure();
            });
        }

        public void Diverging(DplTrainer.Options options) =>
            (options.Training.Recipe, options.Training.LearningRate, options.Training.Epochs) = (TrainingRecipe.Paper, 1e37, 3);

        public void Cancelled(DplTrainer.Options options, InterruptionBehavior onCancel)
        {
            var source = new CancellationTokenSource();
            (options.CancellationToken, options.OnCancel, options.Validation.RowsPerClass) = (source.Token, onCancel, 1);
            options.Progress = new ProgressRecorder(report =>
            {
                if (report.Epoch == 2)
                    source.Cancel();
            });
        }

        public DplTransformer Fit(Action<DplTrainer.Options>? change = null, IDataView? data = null)
        {
            DplTrainer.Options options = Options();
            change?.Invoke(options);
            return Trainers.DifferentiablePromptLearning(options).Fit(data ?? Train);
        }

        public void Predict()
        {
            using PredictionEngine<LabelledImage, Answer> engine = Context.Model.CreatePredictionEngine<LabelledImage, Answer>(Trained);
            for (int i = 0; i < 3; i++)
                Assert.Equal(3, engine.Predict(Images.Test[i]).Score.Length);
            Assert.ThrowsAny<InvalidOperationException>(() => engine.Predict(new LabelledImage { ImagePath = "/missing/a.png" }));
        }

        public DplTransformer Load(ModelContents contents, bool cut = false)
        {
            if (!_zips.TryGetValue(contents, out byte[]? zip))
            {
                using var stream = new MemoryStream();
                Trained.Contents = contents;
                Context.Model.Save(Trained, Train.Schema, stream);
                Trained.Contents = ModelContents.PromptsOnly;
                _zips.Add(contents, zip = stream.ToArray());
            }
            using var read = new MemoryStream(cut ? zip[..(zip.Length / 2)] : zip);
            return (DplTransformer)new MLContext().Knowing(Small.Backbone).Model.Load(read, out _);
        }

        public void Dispose()
        {
            Trained.Dispose();
            Image.Dispose();
            Images.Dispose();
            Small.Dispose();
        }

        private static int Layers(World world) => world.Small.Backbone.Config.Image.Layers + world.Small.Backbone.Config.Text.Layers;

        private sealed class Answer
        {
            public float[] Score { get; set; } = [];
        }
    }
}
