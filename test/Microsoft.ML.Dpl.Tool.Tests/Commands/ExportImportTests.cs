using System.CommandLine;
using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Commands;

namespace Microsoft.ML.Dpl.Tool.Tests.Commands;

/// <summary><c>dpl export</c> and <c>dpl import</c> on a model of the small CLIP.</summary>
public sealed class ExportImportTests : IClassFixture<ExportImportTests.SavedModel>, IDisposable
{
    private readonly SavedModel _model;
    private readonly string _folder = Directory.CreateTempSubdirectory("dpl-tool-").FullName;

    public ExportImportTests(SavedModel model) => _model = model;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("prompts.safetensors", null)]
    [InlineData("prompts.safetensors", "safetensors")]
    [InlineData("prompts", null)]
    [InlineData("prompts", "npy")]
    public void A_model_goes_out_and_comes_back_with_the_same_scores(string name, string? format)
    {
        string exported = Path.Combine(_folder, name),
            zip = Path.Combine(_folder, "again", "model.zip");
        string said = Run(
            ExportCommand.Create(),
            [_model.Zip, "--output", exported, .. format is null ? [] : new[] { "--format", format }]
        );
        Assert.Contains(_model.Configuration.ToString(), said);
        Assert.Contains("class_features", said);
        said = Run(ImportCommand.Create(), "--prompts", exported, "--clip", "tiny-drawn", "--output", zip);
        Assert.Contains("3 classes", said);
        Assert.Equal(_model.Scores(_model.Zip), _model.Scores(zip));
    }

    [Fact]
    public async Task A_mixture_comes_in_and_goes_out_and_its_zip_says_what_it_is()
    {
        string written = Path.Combine(_folder, "mixture.safetensors"),
            zip = Path.Combine(_folder, "mixture.zip"),
            again = Path.Combine(_folder, "again");
        ClipConfig config = ClipBackbone.TinyDrawn.Config;
        new ExportedPrompts
        {
            Text = Rows(config.Text),
            Image = Rows(config.Image),
            Mixture = new TrainedMixture([0, 1, 2], Weights(config.Text), Weights(config.Image)),
            ClassNames = ["red", "green", "blue"],
        }.Save(written);
        string said = Run(
            ImportCommand.Create(),
            "--prompts",
            written,
            "--clip",
            "tiny-drawn",
            "--image-column",
            "ImagePath",
            "--output",
            zip
        );
        Assert.Contains(PromptConfiguration.Uniform(ClipBackbone.TinyDrawn, 2).ToString(), said);
        said = Run(ExportCommand.Create(), zip, "--output", again, "--format", "npy");
        Assert.Contains("text_mixture.0", said);
        Assert.Contains("image_weights.0", said);
        Assert.Equal(Weights(config.Image), ExportedPrompts.Load(again).Mixture!.ImageWeights);

        ToolProcess.Outcome shown = (await ToolProcess.Run("inspect", zip)).Expect(0);
        Assert.Contains("of 0 1 2 rows in every layer", shown.Output);
        ToolProcess.Outcome json = (await ToolProcess.Run("inspect", zip, "--format", "json")).Expect(0);
        using JsonDocument info = JsonDocument.Parse(json.Output);
        Assert.Equal([0, 1, 2], info.RootElement.GetProperty("mixtureCandidateLengths").Deserialize<int[]>()!);

        static float[,]?[] Rows(ClipTransformerConfig shape) =>
            [.. Enumerable.Range(0, shape.Layers).Select(_ => new float[3, shape.Width])];
        static float[][] Weights(ClipTransformerConfig shape) =>
            [.. Enumerable.Range(0, shape.Layers).Select(_ => new[] { 0.25f, 0.25f, 0.5f })];
    }

    [Fact]
    public void Alphas_of_a_search_become_its_configuration()
    {
        string exported = Path.Combine(_folder, "prompts"),
            json = Path.Combine(_folder, "configuration.json");
        Run(ExportCommand.Create(), _model.Zip, "--output", exported);
        Run(ImportCommand.Create(), "--alphas", exported, "--clip", "tiny-drawn", "--output", json);
        Assert.Equal(_model.Configuration, PromptConfiguration.FromJson(File.ReadAllText(json)));

        // The same alphas as two files: under the authors' exchanged names the other branch comes first.
        string text = Path.Combine(exported, "alphas.text.npy"),
            image = Path.Combine(exported, "alphas.image.npy");
        string said = Run(ImportCommand.Create(), "--alphas", text, image, "--lengths", "0", "1", "2", "--output", json);
        Assert.Contains("exchanges the two names", said);
        Assert.Contains("Candidate lengths 0 1 2, epoch 2 of 2", said);
        Assert.Equal(_model.Configuration, PromptConfiguration.FromJson(File.ReadAllText(json)));
        Run(
            ImportCommand.Create(),
            "--alphas",
            image,
            text,
            "--names",
            "right",
            "--lengths",
            "0",
            "1",
            "2",
            "--epoch",
            "2",
            "--output",
            json
        );
        Assert.Equal(_model.Configuration, PromptConfiguration.FromJson(File.ReadAllText(json)));
    }

    [Fact]
    public void Prompts_take_other_classes()
    {
        string exported = Path.Combine(_folder, "prompts.safetensors"),
            zip = Path.Combine(_folder, "model.zip");
        Run(ExportCommand.Create(), _model.Zip, "--output", exported);
        Assert.Contains(
            "2 classes",
            Run(
                ImportCommand.Create(),
                "--prompts",
                exported,
                "--clip",
                "tiny-drawn",
                "--classes",
                "a circle",
                "a square",
                "--template",
                "a drawing of {}.",
                "--output",
                zip
            )
        );
        using var loaded = (DplTransformer)new MLContext().Model.Load(zip, out _);
        Assert.Equal(["a circle", "a square"], loaded.ClassNames);
        Assert.Equal("a drawing of {}.", loaded.Template);
    }

    [Fact]
    public void What_cannot_be_done_is_said_before_anything_is_written()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "full"));
        File.WriteAllText(Path.Combine(_folder, "full", "notes.txt"), "");
        Assert.Contains(
            "not empty",
            Assert.Throws<IOException>(() => Run(ExportCommand.Create(), _model.Zip, "--output", Path.Combine(_folder, "full"))).Message
        );
        Assert.Contains(
            "--format npy",
            Assert
                .Throws<ArgumentException>(() =>
                    Run(ExportCommand.Create(), _model.Zip, "--format", "npy", "--output", Path.Combine(_folder, "a.safetensors"))
                )
                .Message
        );
        Assert.Contains(
            "must end in",
            Assert
                .Throws<ArgumentException>(() =>
                    Run(ExportCommand.Create(), _model.Zip, "--format", "safetensors", "--output", Path.Combine(_folder, "a"))
                )
                .Message
        );
        string output = Path.Combine(_folder, "out.json");
        Assert.Contains(
            "either --alphas or --prompts",
            Assert.Throws<ArgumentException>(() => Run(ImportCommand.Create(), "--output", output)).Message
        );
        Run(ExportCommand.Create(), _model.Zip, "--output", Path.Combine(_folder, "prompts"));
        Assert.Contains(
            "--clip",
            Assert
                .Throws<ArgumentException>(() =>
                    Run(ImportCommand.Create(), "--prompts", Path.Combine(_folder, "prompts"), "--output", output)
                )
                .Message
        );
        Assert.Contains(
            "epochs 1 to 2",
            Assert
                .Throws<ArgumentException>(() =>
                    Run(ImportCommand.Create(), "--alphas", Path.Combine(_folder, "prompts"), "--epoch", "3", "--output", output)
                )
                .Message
        );
        Assert.False(File.Exists(output));
    }

    /// <summary>In separate processes, where nothing has loaded libtorch before.</summary>
    [Fact]
    public async Task The_command_does_it_from_scratch()
    {
        string exported = Path.Combine(_folder, "prompts"),
            json = Path.Combine(_folder, "configuration.json"),
            zip = Path.Combine(_folder, "model.zip");
        (await ToolProcess.Run("export", _model.Zip, "--format", "npy", "--output", exported)).Expect(0);
        string text = Path.Combine(exported, "alphas.text.npy"),
            image = Path.Combine(exported, "alphas.image.npy");
        ToolProcess.Outcome configured = (
            await ToolProcess.Run("import", "--alphas", text, image, "--lengths", "0", "1", "2", "--clip", "tiny-drawn", "--output", json)
        ).Expect(0);
        Assert.Contains(_model.Configuration.ToString(), configured.Output);
        Assert.Equal(_model.Configuration, PromptConfiguration.FromJson(File.ReadAllText(json)));
        (await ToolProcess.Run("import", "--prompts", exported, "--clip", "tiny-drawn", "--output", zip)).Expect(0);
        Assert.Equal(_model.Scores(_model.Zip), _model.Scores(zip));
        ToolProcess.Outcome refused = (await ToolProcess.Run("export", _model.Zip, "--output", exported)).Expect(2);
        Assert.Contains("not empty", Assert.Single(refused.ErrorLines));
    }

    [Fact]
    public async Task A_zip_can_have_a_graph_for_applications_without_libtorch()
    {
        string exported = Path.Combine(_folder, "graph.safetensors"),
            zip = Path.Combine(_folder, "graph.zip");
        (await ToolProcess.Run("export", _model.Zip, "--output", exported)).Expect(0);
        (await ToolProcess.Run("import", "--prompts", exported, "--clip", "tiny-drawn", "--contents", "onnx", "--output", zip)).Expect(0);
        ModelInfo info = ModelInfo.Read(zip);
        Assert.Equal(ModelContents.WithOnnx, info.Contents);
        Assert.Contains(info.Entries, entry => entry.Name == "model.onnx" && entry.Bytes > 1_000_000);
        ToolProcess.Outcome inspected = (await ToolProcess.Run("inspect", zip)).Expect(0);
        Assert.Contains("a graph with which ONNX Runtime", inspected.Output);
        // Where libtorch is available, the scores are unchanged.
        Assert.Equal(_model.Scores(_model.Zip), _model.Scores(zip));
    }

    private static string Run(System.CommandLine.Command command, params string[] arguments)
    {
        using var said = new StringWriter();
        int code = command
            .Parse(arguments)
            .Invoke(
                new InvocationConfiguration
                {
                    Output = said,
                    Error = said,
                    EnableDefaultExceptionHandler = false,
                }
            );
        Assert.True(code == 0, said.ToString());
        return said.ToString();
    }

    /// <summary>A saved model that was searched and trained on three plain colours.</summary>
    public sealed class SavedModel : IDisposable
    {
        private static readonly (string Name, byte R, byte G, byte B)[] Colours =
        [
            ("red", 220, 30, 30),
            ("green", 30, 200, 40),
            ("blue", 40, 40, 230),
        ];

        private readonly string _folder = Directory.CreateTempSubdirectory("dpl-tool-model-").FullName;
        private readonly List<Row> _rows = [];

        public SavedModel()
        {
            foreach (var (name, r, g, b) in Colours)
            {
                for (int i = 0; i < 3; i++)
                {
                    string path = Path.Combine(_folder, $"{name}{i}.png");
                    byte[] pixels =
                    [
                        .. Enumerable
                            .Range(0, 40 * 40)
                            .SelectMany(p => new byte[] { (byte)(b - i * 5), (byte)(g - p % 7), (byte)(r - i), 255 }),
                    ];
                    using MLImage image = MLImage.CreateFromPixels(40, 40, MLPixelFormat.Bgra32, pixels);
                    image.Save(path);
                    _rows.Add(new Row { ImagePath = path, Label = name });
                }
            }
            Zip = Path.Combine(_folder, "model.zip");
            var mlContext = new MLContext(1);
            IDataView rows = mlContext.Data.LoadFromEnumerable(_rows);
            using DplTransformer transformer = mlContext
                .MulticlassClassification.Trainers.DifferentiablePromptLearning(
                    new DplTrainer.Options
                    {
                        Backbone = ClipBackbone.TinyDrawn,
                        ImageColumnName = nameof(Row.ImagePath),
                        Search = { CandidateLengths = [0, 1, 2], Epochs = 2 },
                        Training = { Recipe = TrainingRecipe.Paper, Epochs = 1 },
                        Validation = { RowsPerClass = 1 },
                    }
                )
                .Fit(rows);
            Configuration = transformer.Configuration;
            mlContext.Model.Save(transformer, rows.Schema, Zip);
        }

        public string Zip { get; }

        public PromptConfiguration Configuration { get; }

        public float[][] Scores(string zip)
        {
            var mlContext = new MLContext();
            ITransformer model = mlContext.Model.Load(zip, out _);
            float[][] scores = [.. model.Transform(mlContext.Data.LoadFromEnumerable(_rows)).GetColumn<float[]>("Score")];
            ((IDisposable)model).Dispose();
            return scores;
        }

        public void Dispose() => Directory.Delete(_folder, recursive: true);
    }

    public sealed class Row
    {
        public string ImagePath { get; set; } = "";

        public string Label { get; set; } = "";
    }
}
