using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Hub;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Operations on files, the hub and the machine.</summary>
internal static partial class PublicOperations
{
    private const string Unknown = "openai/clip-vit-base-patch16";

    private static IEnumerable<KeyValuePair<string, Operation>> FileMembers() =>
        new Dictionary<string, Operation>
        {
            ["AlphaFiles.FromAuthors(String, String, ClipBackbone)"] = new(w =>
                WithAlphaFiles(w, (text, image) => Assert.NotEmpty(AlphaFiles.FromAuthors(text, image, w.Small.Backbone).Reason))
            ),
            ["AlphaFiles.AsNamed(String, String)"] = new(w =>
                WithAlphaFiles(w, (text, image) => Assert.Equal(text, AlphaFiles.AsNamed(image, text).TextPath))
            ),
            ["AlphaHistory..ctor(IReadOnlyList`1, Single[,,], Single[,,])"] = new(w =>
                Assert.NotNull(new AlphaHistory(History(w).CandidateLengths, History(w).ToTextArray(), History(w).ToImageArray()))
            ),
            ["AlphaHistory.get_Epochs()"] = new(w => Assert.Equal(2, History(w).Epochs)),
            ["AlphaHistory.ToTextArray()"] = new(w => Assert.NotEmpty(History(w).ToTextArray())),
            ["AlphaHistory.ToImageArray()"] = new(w => Assert.NotEmpty(History(w).ToImageArray())),
            ["AlphaHistory.Configuration(Nullable`1)"] = new(w => Assert.NotNull(History(w).Configuration())),
            ["AlphaHistory.From(SearchReport)"] = new(w => AlphaHistory.From(w.Searched)),
            ["AlphaHistory.Save(String)"] = new(w => InFolder(folder => History(w).Save(Path.Combine(folder, "alphas")))),
            ["AlphaHistory.Load(String, IReadOnlyList`1)"] = new(w =>
                InFolder(folder =>
                {
                    string path = Path.Combine(folder, "alphas.safetensors");
                    History(w).Save(path);
                    Assert.Equal(2, AlphaHistory.Load(path).Epochs);
                })
            ),
            ["AlphaHistory.Load(String, String, IReadOnlyList`1)"] = new(w =>
                WithAlphaFiles(w, (text, image) => Assert.Equal(2, AlphaHistory.Load(text, image, [0, 1]).Epochs))
            ),
            ["AlphaHistory.LengthsFor(Int32)"] = new(_ => Assert.NotEmpty(AlphaHistory.LengthsFor(4))),
            ["ClipBackbone.FromPretrained(String, HubOptions, CancellationToken)"] = new(_ =>
                InFolder(folder => Assert.Throws<HubException>(() => ClipBackbone.FromPretrained(Unknown, Offline(folder))))
            ),
            ["ClipBackbone.FromPretrainedAsync(String, HubOptions, CancellationToken)"] = new(_ =>
                InFolder(folder =>
                    Assert
                        .ThrowsAsync<HubException>(() => ClipBackbone.FromPretrainedAsync(Unknown, Offline(folder)))
                        .GetAwaiter()
                        .GetResult()
                )
            ),
            ["ClipBackbone.get_FilePaths()"] = new(w => Assert.NotEmpty(w.Small.Backbone.FilePaths)),
            ["ClipBackbone.ReadPreprocessing()"] = new(w => Assert.NotNull(w.Small.Backbone.ReadPreprocessing())),
            ["ClipHub.GetCachedFolder(String, HubOptions)"] = new(_ =>
                InFolder(folder => Assert.Null(ClipHub.GetCachedFolder(Unknown, Offline(folder))))
            ),
            ["ClipHub.Verify(String, HubOptions, CancellationToken)"] = new(_ =>
                InFolder(folder => Assert.Throws<HubException>(() => ClipHub.Verify(Unknown, Offline(folder))))
            ),
            ["ClipHub.FetchVocabularyAsync(String, HubOptions, CancellationToken)"] = new(_ =>
                InFolder(folder =>
                    Assert.ThrowsAsync<HubException>(() => ClipHub.FetchVocabularyAsync(Unknown, Offline(folder))).GetAwaiter().GetResult()
                )
            ),
            ["DplCatalog.DifferentiablePromptModel(MLContext, ExportedPrompts, ClipBackbone, String, String, String, String)"] = new(
                w => w.Context.DifferentiablePromptModel(w.Trained.ExportPrompts(), w.Small.Backbone).Dispose(),
                World.TextLayers
            ),
            ["ModelInfo.Read(String)"] = new(w =>
                WithZip(w, path => Assert.Equal(w.Trained.Configuration, ModelInfo.Read(path).Configuration))
            ),
            ["ModelZip.Check(String, Int64)"] = new(w => WithZip(w, path => ModelZip.Check(path))),
            ["ExportedPrompts.get_Configuration()"] = new(w =>
                Assert.Equal(w.Trained.Configuration, w.Trained.ExportPrompts().Configuration)
            ),
            ["ExportedPrompts.get_TaskResidual()"] = new(w => Assert.NotNull(w.Trained.ExportPrompts().TaskResidual)),
            ["ExportedPrompts.set_TaskResidual(Single[,])"] = new(w =>
                Assert.Null((w.Trained.ExportPrompts() with { TaskResidual = null }).TaskResidual)
            ),
            ["ExportedPrompts.Save(String)"] = new(w =>
                InFolder(folder => w.Trained.ExportPrompts().Save(Path.Combine(folder, "prompts")))
            ),
            ["ExportedPrompts.Load(String)"] = new(w =>
                InFolder(folder =>
                {
                    string path = Path.Combine(folder, "prompts.safetensors");
                    w.Trained.ExportPrompts().Save(path);
                    Assert.Equal(w.Trained.Configuration, ExportedPrompts.Load(path).Configuration);
                })
            ),
            ["LibTorchRuntime.Load()"] = new(_ => Assert.NotEmpty(LibTorchRuntime.Load())),
            ["LibTorchRuntime.get_Threads()"] = new(_ => Assert.True(LibTorchRuntime.Threads > 0)),
            ["LibTorchRuntime.set_Threads(Int32)"] = new(_ => LibTorchRuntime.Threads = LibTorchRuntime.Threads),
            ["LibTorchRuntime.get_HasCuda()"] = new(_ => Assert.IsType<bool>(LibTorchRuntime.HasCuda)),
            ["DplTrainer.Search(IDataView)"] = new(
                w =>
                {
                    DplTrainer.Options options = w.Options();
                    w.Searching(options, failing: null);
                    Assert.False(w.Trainers.DifferentiablePromptLearning(options).Search(w.Train).WasCancelled);
                },
                World.SearchAlone
            ),
            ["DplTransformer.get_ImageColumnName()"] = new(w => Assert.Equal("ImagePath", w.Trained.ImageColumnName)),
            ["DplTransformer.get_ScoreColumnName()"] = new(w => Assert.Equal("Score", w.Trained.ScoreColumnName)),
            ["DplTransformer.get_ApplyExifOrientation()"] = new(w => Assert.False(w.Trained.ApplyExifOrientation)),
            ["DplTransformer.get_MaxImagePixels()"] = new(w => Assert.Equal(178_956_970, w.Trained.MaxImagePixels)),
            ["DplOnnx.SaveAsOnnx(DplTransformer, String, OnnxInput, Boolean, OnnxPrecision, CancellationToken)"] = new(w =>
                InFolder(folder => w.Trained.SaveAsOnnx(Path.Combine(folder, "model.onnx")))
            ),
            ["DplOnnx.SaveAsOnnx(DplTransformer, Stream, OnnxInput, OnnxPrecision, CancellationToken)"] = new(w =>
                w.Trained.SaveAsOnnx(Stream.Null, OnnxInput.Image, OnnxPrecision.Int8)
            ),
            ["DplTransformer.Pixels(String)"] = new(w => Assert.Equal(3 * 24 * 24, w.Trained.Pixels(w.Images.Test[0].ImagePath).Length)),
            ["DplTransformer.Pixels(MLImage)"] = new(w => Assert.Equal(3 * 24 * 24, w.Trained.Pixels(w.Image).Length)),
            ["DplTransformer.ReadImage(String)"] = new(w => w.Trained.ReadImage(w.Images.Test[0].ImagePath).Dispose()),
            ["DplTransformer.Explain(String, String)"] = new(w => w.Trained.Explain(w.Images.Test[0].ImagePath, "red")),
            ["DplTransformer.ExportPrompts()"] = new(w => Assert.Equal(3, w.Trained.ExportPrompts().ClassNames!.Count)),
            ["HubException..ctor(HubFailure, String, Exception)"] = new(_ =>
                Assert.Equal(HubFailure.Offline, new HubException(HubFailure.Offline, "off").Failure)
            ),
            ["KnownClip.get_Parameters()"] = new(_ => Assert.All(KnownClip.All, known => Assert.True(known.Parameters > 0))),
            ["KnownClip.get_Bytes()"] = new(_ => Assert.All(KnownClip.All, known => Assert.True(known.Bytes > 0))),
            ["KnownClip.Find(String)"] = new(_ => Assert.NotNull(KnownClip.Find("ViT-B/16"))),
            ["TensorBoardProgress..ctor(String, IProgress`1)"] = new(_ => InFolder(folder => new TensorBoardProgress(folder).Dispose())),
            ["TensorBoardProgress.get_EventFilePath()"] = new(_ => WithBoard(board => Assert.True(File.Exists(board.EventFilePath)))),
            ["TensorBoardProgress.Report(FitProgress)"] = new(_ => WithBoard(board => board.Report(World.Progress))),
            ["TensorBoardProgress.Dispose()"] = new(_ => WithBoard(board => board.Dispose())),
        };

    private static AlphaHistory History(World world) => AlphaHistory.From(world.Searched);

    private static HubOptions Offline(string folder) => new() { CacheFolder = folder, Offline = true };

    private static void InFolder(Action<string> run)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("dpl-operations-");
        try
        {
            run(folder.FullName);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Saves the search's alphas as two .npy files, and passes the paths of the text tower's and the image tower's alphas to
    /// <paramref name="run"/>.</summary>
    private static void WithAlphaFiles(World world, Action<string, string> run) =>
        InFolder(folder =>
        {
            string written = Path.Combine(folder, "alphas");
            History(world).Save(written);
            string Of(string branch) =>
                Directory.GetFiles(written, "*.npy").Single(path => Path.GetFileName(path).Contains(branch, StringComparison.Ordinal));
            run(Of("text"), Of("image"));
        });

    private static void WithZip(World world, Action<string> run) =>
        InFolder(folder =>
        {
            string path = Path.Combine(folder, "model.zip");
            world.Context.Model.Save(world.Trained, world.Train.Schema, path);
            run(path);
        });

    private static void WithBoard(Action<TensorBoardProgress> run) =>
        InFolder(folder =>
        {
            using var board = new TensorBoardProgress(folder);
            run(board);
        });
}
