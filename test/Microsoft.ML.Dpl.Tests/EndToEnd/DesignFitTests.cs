using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.Clip;
using Microsoft.ML.Dpl.Tests.Fit;
using Microsoft.ML.Dpl.Tests.Network;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Fits with other prompt designs: alone, in pairs, interrupted, saved and loaded.</summary>
public sealed class DesignFitTests(SmallBackbone small, ColourImages images) : ColourFits(small, images)
{
    private static readonly Dictionary<string, Action<DplTrainer.Options>> Designs = new()
    {
        ["coupled"] = o => o.Design.Coupled = true,
        ["context at the end"] = o => o.Design.Context = new PromptContext(),
        ["context of words in the middle"] = o => o.Design.Context = new PromptContext { Words = "red", Position = ContextPosition.Middle },
        ["context per class in front"] = o =>
            o.Design.Context = new PromptContext
            {
                Length = 3,
                ClassSpecific = true,
                Position = ContextPosition.Front,
            },
        ["KgCoOp"] = o => o.Design.KgCoOp = new KgCoOp(),
        ["PromptSRC"] = o => o.Design.PromptSrc = new PromptSrc(),
        ["ProGrad"] = o => o.Design.ProGrad = new ProGrad { Weight = 0.5, Temperature = 2 },
        ["Gaussian average"] = o => o.Design.Average = EpochAverage.Gaussian(),
        ["moving average"] = o => o.Design.Average = EpochAverage.Exponential(),
        ["templates"] = o => o.Design.Templates = ["a {}.", "the {}.", "{}"],
        ["task residual"] = o => o.Design.TaskResidual = 4,
        ["distillation"] = o => o.Training.DistillationWeight = 0.5,
        ["label smoothing"] = o => o.Training.LabelSmoothing = 0.2,
    };

    public static TheoryData<string, string> Pairs
    {
        get
        {
            var pairs = new TheoryData<string, string>();
            foreach (var (a, b) in from a in Designs.Keys from b in Designs.Keys where string.CompareOrdinal(a, b) < 0 select (a, b))
                pairs.Add(a, b);
            return pairs;
        }
    }

    private protected override DplTrainer.Options Common => Short();

    /// <summary>Options for a search of two epochs and a training of three, with the paper's recipe.</summary>
    internal static DplTrainer.Options Short() =>
        new()
        {
            Search = { CandidateLengths = [0, 1, 3], Epochs = 2 },
            Training =
            {
                Recipe = TrainingRecipe.Paper,
                Epochs = 3,
                LearningRate = 0.02,
            },
            Validation = { RowsPerClass = 2 },
        };

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Two_designs_combine(string first, string second)
    {
        void Both(DplTrainer.Options o)
        {
            Designs[first](o);
            Designs[second](o);
        }
        using DplTransformer whole = Fit(Both);
        float[][] scores = Scores(whole);
        Assert.All(scores, row => Assert.Equal(1, row.Sum(), 1e-4));
        using DplTransformer loaded = Reloaded(whole);
        Assert.Equal(scores, Scores(loaded));
        Assert.Equal(whole.Context, loaded.Context);
        Assert.Equal(whole.Design?.ToString(), loaded.Design?.ToString());
        Assert.Equal(whole.Templates, loaded.Templates);

        using var folder = new TemporaryFolder();
        using DplTransformer resumed = Interrupted(Both, folder, FitStage.Training, epoch: 2);
        Assert.Equal(scores, Scores(resumed));
    }

    [Theory]
    [InlineData(FitStage.Search, 2)]
    [InlineData(FitStage.Comparison, 1)]
    [InlineData(FitStage.Training, 2)]
    public void Interrupted_in_any_stage_of_the_robust_recipe_it_goes_on_to_the_same_bits(FitStage stage, int epoch)
    {
        static void Many(DplTrainer.Options o)
        {
            o.Training.Recipe = TrainingRecipe.Robust;
            foreach (string design in (string[])["coupled", "context at the end", "PromptSRC", "ProGrad", "Gaussian average", "templates"])
                Designs[design](o);
        }
        using DplTransformer whole = Fit(Many);
        using var folder = new TemporaryFolder();
        using DplTransformer resumed = Interrupted(Many, folder, stage, epoch);
        Assert.Equal(Scores(whole), Scores(resumed));
        Assert.Equal(whole.Finalists, resumed.Finalists);
    }

    [Theory]
    [InlineData(FitStage.Search, 2)]
    [InlineData(FitStage.Training, 3)]
    public void Resumed_and_cancelled_while_the_teacher_looks_at_the_images_it_returns_the_best_of_before(FitStage stage, int epoch)
    {
        using var folder = new TemporaryFolder();
        using CancellationTokenSource inStage = new(),
            inTeacher = new();
        void Taught(DplTrainer.Options o, CancellationTokenSource source)
        {
            Designs["ProGrad"](o);
            (o.Compute.WorkspacePath, o.OnCancel, o.CancellationToken) = (
                folder.File("workspace"),
                InterruptionBehavior.ReturnBest,
                source.Token
            );
        }
        using DplTransformer before = Fit(o =>
        {
            Taught(o, inStage);
            o.Progress = new ProgressRecorder(report =>
            {
                if (report.Stage == stage && report.Epoch == epoch && report.Step == 1)
                    inStage.Cancel();
            });
        });
        MLContext.Log += (_, e) =>
        {
            if (IsTeacher(e.Message))
                inTeacher.Cancel();
        };
        var reports = new ProgressRecorder();
        using DplTransformer resumed = Fit(o =>
        {
            Taught(o, inTeacher);
            o.Progress = reports;
        });
        Assert.Empty(reports.Seen);
        Assert.True(resumed.WasCancelled);
        Assert.Equal(before.ValidationAccuracy, resumed.ValidationAccuracy);
        Assert.Equal(Scores(before), Scores(resumed));
    }

    [Fact]
    public void A_finished_fit_in_the_workspace_needs_no_teacher()
    {
        using var folder = new TemporaryFolder();
        void Kept(DplTrainer.Options o)
        {
            Designs["ProGrad"](o);
            (o.Compute.WorkspacePath, o.Compute.WorkspacePerDataSet) = (folder.File("workspace"), true);
        }
        using DplTransformer first = Fit(Kept),
            again = Fit(Kept);
        Assert.Equal(Scores(first), Scores(again));
        Assert.Single(Log, line => IsTeacher(line));
    }

    [Fact]
    public void Coupled_towers_have_one_choice()
    {
        using DplTransformer transformer = Fit(o => o.Design.Coupled = true);
        int coupled = Math.Min(transformer.Configuration.Text.Count, transformer.Configuration.Image.Count);
        Assert.Equal(transformer.Configuration.Text.Take(coupled), transformer.Configuration.Image.Take(coupled));
        Assert.All(transformer.SearchReport!.Epochs, epoch =>
            Assert.Equal(epoch.TextAlphas.Take(coupled), epoch.ImageAlphas.Take(coupled))
        );
        Assert.Equal("coupled", transformer.Design!.Prompts);
    }

    [Fact]
    public void A_context_alone_is_CoOp()
    {
        using DplTransformer transformer = Fit(o =>
            (o.Configuration, o.Design.Context) = (PromptConfiguration.Uniform(Small.Backbone, 0), new PromptContext { Length = 5 })
        );
        using DplTransformer zeroShot = Fit(o => o.Configuration = PromptConfiguration.Uniform(Small.Backbone, 0));
        Assert.True(transformer.Configuration.IsZeroShot);
        Assert.Equal(new PromptContext { Length = 5 }, transformer.Context);
        Assert.NotEqual(Scores(zeroShot), Scores(transformer));
        Assert.Equal(5, transformer.NearestContextWords(2).Count);
        // New classes are encoded with the learned context.
        using DplTransformer again = transformer.WithClasses(transformer.ClassNames);
        Assert.Equal(Scores(transformer), Scores(again));
        Assert.Equal(transformer.Context, again.Context);
        using DplTransformer others = transformer.WithClasses(["cyan", "pink"]);
        Assert.All(Scores(others), row => Assert.Equal(2, row.Length));
    }

    [Fact]
    public void A_context_of_words_begins_with_them()
    {
        using DplTransformer transformer = Fit(o =>
        {
            (o.Configuration, o.Design.Context) = (PromptConfiguration.Uniform(Small.Backbone, 0), new PromptContext { Words = "r_ed" });
            (o.Training.LearningRate, o.Training.WeightDecay) = (1e-12, 0);
        });
        Assert.Equal(["r", "ed"], transformer.NearestContextWords(1).Select(row => row.Words[0].Word));
        Assert.All(transformer.NearestContextWords(1), row => Assert.Equal(0, row.Words[0].Distance, 1e-4));
    }

    [Fact]
    public void A_class_specific_context_reads_no_other_classes()
    {
        using DplTransformer transformer = Fit(Designs["context per class in front"]);
        Assert.Equal(3 * transformer.ClassNames.Count, transformer.NearestContextWords(1).Count);
        var e = Assert.Throws<InvalidOperationException>(() => transformer.WithClasses(["cyan", "pink"]));
        Assert.Contains("class-specific", e.Message);
    }

    [Theory]
    [InlineData("context at the end", "coupled")]
    [InlineData("context per class in front", "coupled")]
    [InlineData("context of words in the middle", "templates")]
    public void Prompts_as_files_keep_the_context(string first, string second)
    {
        using DplTransformer transformer = Fit(o =>
        {
            Designs[first](o);
            Designs[second](o);
        });
        using var folder = new TemporaryFolder();
        foreach (string name in (string[])["prompts.safetensors", "arrays"])
        {
            transformer.ExportPrompts().Save(folder.File(name));
            ExportedPrompts read = ExportedPrompts.Load(folder.File(name));
            Assert.Equal(transformer.Context, read.ContextDesign);
            using DplTransformer model = MLContext.DifferentiablePromptModel(read, Small.Backbone, imageColumnName: "ImagePath");
            Assert.Equal(Scores(transformer), Scores(model));
            Assert.Equal(transformer.Context, model.Context);
        }
    }

    [Fact]
    public void An_ONNX_model_has_the_context_in_its_class_features()
    {
        using DplTransformer transformer = Fit(o =>
        {
            Designs["context of words in the middle"](o);
            Designs["KgCoOp"](o);
        });
        using var folder = new TemporaryFolder();
        string path = folder.File("model.onnx");
        transformer.SaveAsOnnx(path);
        using var session = new InferenceSession(path);
        IReadOnlyDictionary<string, string> metadata = session.ModelMetadata.CustomMetadataMap;
        Assert.Equal("""{"length":2,"position":"middle","class_specific":false,"words":"red"}""", metadata["context"]);
        Assert.Equal("independent prompts, KgCoOp 8", metadata["design"]);
        Assert.False(metadata.ContainsKey("templates"));
        string image = Images.Test[0].ImagePath;
        int size = Small.Backbone.Config.ImageSize;
        using var results = session.Run([
            NamedOnnxValue.CreateFromTensor("pixels", new DenseTensor<float>(transformer.Pixels(image), [1, 3, size, size])),
        ]);
        float[] probabilities = [.. results.Single(result => result.Name == "probabilities").AsEnumerable<float>()];
        float[] expected = Scores(transformer)[0];
        for (int k = 0; k < expected.Length; k++)
            Assert.Equal(expected[k], probabilities[k], 1e-5);
    }

    [Fact]
    public void Zero_shot_CLIP_averages_templates()
    {
        string[] templates = ["a {}.", "the {}.", "{}"];
        DplTransformer Zero(Action<DplTrainer.Options> change) =>
            Fit(o =>
            {
                o.Configuration = PromptConfiguration.Uniform(Small.Backbone, 0);
                change(o);
            });
        using DplTransformer ensemble = Zero(o => o.Design.Templates = templates);
        Assert.Equal(templates, ensemble.Templates);
        float[,] mean = ensemble.ExportPrompts().ClassFeatures!;
        var sum = new double[mean.GetLength(0), mean.GetLength(1)];
        foreach (string template in templates)
        {
            using DplTransformer single = Zero(o => o.Template = template);
            float[,] features = single.ExportPrompts().ClassFeatures!;
            for (int k = 0; k < mean.GetLength(0); k++)
            for (int i = 0; i < mean.GetLength(1); i++)
                sum[k, i] += features[k, i];
        }
        for (int k = 0; k < mean.GetLength(0); k++)
        {
            double length = Math.Sqrt(Enumerable.Range(0, mean.GetLength(1)).Sum(i => sum[k, i] * sum[k, i]));
            for (int i = 0; i < mean.GetLength(1); i++)
                Assert.Equal(sum[k, i] / length, mean[k, i], 1e-5);
        }
        using DplTransformer again = ensemble.WithClasses(ensemble.ClassNames);
        Assert.Equal(Scores(ensemble), Scores(again));
    }

    [Fact]
    public void Another_CLIP_teaches()
    {
        using var folder = new TemporaryFolder();
        // Only the embedding is as wide as the student's.
        ClipConfig shape = RandomClip.Shape(32, patch: 8, imageLayers: 4, imageWidth: 48, imageHeads: 4, textLayers: 3, textWidth: 48);
        SmallBackbone.Write(folder.FullPath, seed: 9, shape);
        HuggingFaceFolder.WritePreprocessor(folder.FullPath, 32);
        ClipBackbone teacher = ClipBackbone.FromFolder(folder.FullPath);
        using DplTransformer own = Fit(o => o.Training.DistillationWeight = 1),
            taught = Fit(o => (o.Training.DistillationWeight, o.Design.Teacher) = (1, teacher)),
            both = Fit(o => (o.Training.DistillationWeight, o.Design.Teacher, o.Design.PromptSrc) = (1, teacher, new PromptSrc()));
        Assert.NotEqual(Scores(own), Scores(taught));
        Assert.NotEqual(Scores(both), Scores(taught));
        Assert.Equal(teacher.Name, taught.Design!.Teacher);
    }

    [Fact]
    public void A_strong_regularizer_keeps_the_class_features()
    {
        float Distance(DplTransformer a, DplTransformer b) =>
            a.ExportPrompts()
                .ClassFeatures!.Cast<float>()
                .Zip(b.ExportPrompts().ClassFeatures!.Cast<float>(), (x, y) => Math.Abs(x - y))
                .Sum();
        void Text(DplTrainer.Options o) => (o.Configuration, o.Training.Epochs) = (PromptConfiguration.Parse("text 2 2 | image 0 0 0"), 12);
        using DplTransformer zeroShot = Fit(o => o.Configuration = PromptConfiguration.Uniform(Small.Backbone, 0)),
            free = Fit(Text),
            kept = Fit(o =>
            {
                Text(o);
                o.Design.KgCoOp = new KgCoOp { Weight = 100 };
            });
        Assert.True(Distance(kept, zeroShot) < 0.5 * Distance(free, zeroShot));
    }

    private static bool IsTeacher(string message) => message.Contains("Teacher: ", StringComparison.Ordinal);
}
