using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Tests.Commands;

/// <summary>Prompt designs from the command line to the model, the results, the report and inspect.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class DesignFitTests(DrawnData data)
{
    private static readonly string[] Everything =
    [
        "--design",
        "coupled",
        "--context-words",
        "a photo of a",
        "--regulariser",
        "kgcoop",
        "--regulariser",
        "promptsrc:20,5",
        "--prograd",
        "0.5",
        "--average",
        "gaussian:0.6,0.5",
        "--templates",
        "promptsrc-60",
        "--teacher",
        "tiny-drawn",
        "--distillation-weight",
        "0.1",
    ];

    [Fact]
    public async Task A_fit_with_everything_is_searched_trained_tested_and_told()
    {
        string model = data.File("designed.zip");
        ToolProcess.Outcome fit = (
            await ToolProcess.Run([
                "fit",
                data.Table("train"),
                "--test",
                data.Table("test"),
                "--clip",
                "tiny-drawn",
                "--recipe",
                "paper",
                "--output",
                model,
                .. DrawnData.Short,
                .. Everything,
            ])
        ).Expect(0);
        const string summary =
            "coupled prompts, KgCoOp 8, PromptSRC 20 5 1, distillation 0.1, ProGrad 0.5 1, average gaussian 0.6 0.5, teacher ";
        Assert.Contains("Design: " + summary, fit.Output);

        FitResults results = ResultsJson.ReadFile(Path.ChangeExtension(model, ".results.json"));
        Assert.StartsWith(summary, results.Design!.Summary);
        Assert.Equal(ClipTemplates.Named("promptsrc-60"), results.Design.TeacherTemplates);
        Assert.Equal((4, "end", false, "a photo of a", 4), Of(results.Design.Context!));
        // The first epoch of the paper's recipe hardly changes anything, so the nearest words are still the initial ones.
        Assert.Equal(["a", "photo", "of", "a"], results.Design.Context!.Vectors.Select(vector => vector.Words[0].Text));
        Assert.Equal([1, 2, 3, 4], results.Design.Context.Vectors.Select(vector => vector.Number));
        // Coupled prompts have the same length in each layer that both towers have.
        Assert.Equal(results.Configuration!.Text, results.Configuration.Image.Take(results.Configuration.Text.Count));
        SearchEpochResults searched = Assert.Single(results.Search!.Epochs);
        Assert.Equal(searched.TextAlphas, searched.ImageAlphas.Take(searched.TextAlphas.Count));
        Dictionary<string, string> options = results.Asked.Options.ToDictionary(option => option.Name, option => option.Value);
        Assert.Equal("true", options["Design.Coupled"]);
        Assert.Equal("20 5 1", options["Design.PromptSrc"]);
        Assert.Equal("60 templates (promptsrc-60)", options["Design.Templates"]);
        Assert.Equal("0.1", options["Training.DistillationWeight"]);
        // The baseline is plain CLIP with the same texts.
        Assert.Equal(await ZeroShotAccuracy("promptsrc-60"), Assert.Single(results.Comparison).Accuracy.Accuracy);

        string page = File.ReadAllText(Path.ChangeExtension(model, ".report.html"));
        Assert.Contains("<section id=\"design\">", page);
        Assert.Contains("coupled prompts, KgCoOp 8", page);
        Assert.Contains(">photo</span>", page);

        string table = (await ToolProcess.Run("inspect", model)).Expect(0).Output;
        Assert.Contains("4 vectors, then the class name; shared by the classes; initialised with 'a photo of a'", table);
        Assert.Contains(summary, table);
        Assert.Contains("60 templates (promptsrc-60)", table);
        using JsonDocument info = JsonDocument.Parse((await ToolProcess.Run("inspect", model, "--format", "json")).Expect(0).Output);
        Assert.Equal("end", info.RootElement.GetProperty("context").GetProperty("position").GetString());
        Assert.Equal("coupled", info.RootElement.GetProperty("design").GetProperty("prompts").GetString());
        Assert.Equal(60, info.RootElement.GetProperty("design").GetProperty("teacherTemplates").GetArrayLength());

        // A process that has only the zip gets the same results for the images.
        using JsonDocument again = JsonDocument.Parse(
            (await ToolProcess.Run("evaluate", model, data.Table("test"), "--format", "json")).Expect(0).Output
        );
        Assert.Equal(results.Test!.LogLoss, again.RootElement.GetProperty("logLoss").GetDouble());
        ToolProcess.Outcome exported = (await ToolProcess.Run("export", model, "-o", data.File("designed.safetensors"))).Expect(0);
        Assert.Contains(exported.Output.Split('\n'), line => line.TrimStart().StartsWith("context ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_search_under_a_design_says_so()
    {
        string configuration = data.File("coupled.json");
        ToolProcess.Outcome search = (
            await ToolProcess.Run(
                "search",
                data.Table("train"),
                "--clip",
                "tiny-drawn",
                "--output",
                configuration,
                "--search-epochs",
                "1",
                "--candidates",
                "0",
                "2",
                "--validation-per-class",
                "1",
                "--design",
                "coupled",
                "--regularizer",
                "kgcoop:2"
            )
        ).Expect(0);
        Assert.Contains("Design: coupled prompts, KgCoOp 2", search.Output);
        PromptConfiguration found = PromptConfiguration.FromJson(File.ReadAllText(configuration));
        Assert.Equal(found.Text, found.Image.Take(found.Text.Count));
        Assert.Equal(
            "coupled prompts, KgCoOp 2",
            ResultsJson.ReadFile(Path.ChangeExtension(configuration, ".results.json")).Design!.Summary
        );
    }

    /// <summary>The word zero-shot means plain CLIP, while lengths of 0 with a context mean CoOp.</summary>
    [Fact]
    public async Task Compared_designs_leave_zero_shot_as_it_is()
    {
        string json = data.File("designs.json");
        (
            await ToolProcess.Run([
                "compare",
                data.Table("train"),
                "--test",
                data.Table("test"),
                "--clip",
                "tiny-drawn",
                "--recipe",
                "paper",
                "--training-learning-rate",
                "0.1",
                "--configuration",
                "zero-shot",
                "--configuration",
                "uniform:0",
                "--context",
                "2",
                "--json",
                json,
                "--training-epochs",
                "3",
                "--validation-per-class",
                "1",
            ])
        ).Expect(0);
        using JsonDocument table = JsonDocument.Parse(File.ReadAllText(json));
        JsonElement zeroShot = table.RootElement[0],
            coOp = table.RootElement[1];
        Assert.Equal(await ZeroShotAccuracy(), zeroShot.GetProperty("accuracy").GetProperty("accuracy").GetDouble());
        Assert.NotEqual(zeroShot.GetProperty("logLoss").GetDouble(), coOp.GetProperty("logLoss").GetDouble());
    }

    [Fact]
    public async Task Lengths_that_a_coupling_cannot_have_are_refused_in_the_commands_words()
    {
        ToolProcess.Outcome outcome = (
            await ToolProcess.Run(
                "train",
                data.Table("train"),
                "--clip",
                "tiny-drawn",
                "--output",
                data.File("never.zip"),
                "--design",
                "coupled",
                "--configuration",
                "text 2 2 2 | image 0 2 2 2 2"
            )
        ).Expect(2);
        Assert.Contains("--configuration does not fit --design coupled: layer 0 has 2 text and 0 image rows", outcome.Error);
    }

    [Fact]
    public async Task Templates_make_zero_shot_an_ensemble()
    {
        string[] images = [.. data.Rows("test").Select(row => row.Path)];
        string[] classes = [.. data.Rows("test").Select(row => row.Label).Distinct().Order(StringComparer.Ordinal)];
        using DplTransformer ensemble = new MLContext().DifferentiablePromptModel(
            new ExportedPrompts
            {
                Text = new float[,]?[ClipBackbone.TinyDrawn.Config.Text.Layers],
                Image = new float[,]?[ClipBackbone.TinyDrawn.Config.Image.Layers],
                ClassNames = classes,
                Templates = ClipTemplates.ImageNet,
            },
            ClipBackbone.TinyDrawn,
            "ImagePath"
        );
        Assert.Equal(ClipTemplates.ImageNet, ensemble.Templates);
        var mlContext = new MLContext();
        IDataView scored = ensemble.Transform(mlContext.Data.LoadFromEnumerable(images.Select(path => new Row { ImagePath = path })));
        string[] expected = [.. scored.GetColumn<string>("PredictedLabel")];
        using JsonDocument told = JsonDocument.Parse(
            (
                await ToolProcess.Run(
                    "zeroshot",
                    data.Table("test"),
                    "--clip",
                    "tiny-drawn",
                    "--templates",
                    "imagenet-80",
                    "--format",
                    "json"
                )
            )
                .Expect(0)
                .Output
        );
        Assert.Equal(
            expected,
            told.RootElement.GetProperty("predictions").EnumerateArray().Select(p => p.GetProperty("predicted").GetString()!)
        );
    }

    /// <summary>Words and templates from an untrusted zip reach a terminal as plain text.</summary>
    [Fact]
    public async Task Inspect_shows_hostile_words_and_templates_with_their_escapes()
    {
        using var folder = new TemporaryFolder();
        ClipConfig config = ClipBackbone.TinyDrawn.Config;
        ExportedPrompts Plain() =>
            new()
            {
                Text = new float[,]?[config.Text.Layers],
                Image = new float[,]?[config.Image.Layers],
                ClassNames = ["red", "blue"],
            };
        string Saved(string name, ExportedPrompts prompts)
        {
            var mlContext = new MLContext();
            using DplTransformer model = mlContext.DifferentiablePromptModel(prompts, ClipBackbone.TinyDrawn, "ImagePath");
            var input = new DataViewSchema.Builder();
            input.AddColumn("ImagePath", TextDataViewType.Instance);
            mlContext.Model.Save(model, input.ToSchema(), folder.File(name));
            return folder.File(name);
        }
        string templates = Saved("templates.zip", Plain() with { Templates = ["[red]{}[/] \u001b[31m", "a {}"] }),
            context = Saved(
                "context.zip",
                Plain() with
                {
                    Context = new float[3, config.Text.Width],
                    ContextDesign = new PromptContext
                    {
                        Length = 3,
                        Position = ContextPosition.Middle,
                        Words = "a \u001b]0;title\u0007 [b]",
                    },
                }
            );
        string first = (await ToolProcess.Run("inspect", templates)).Expect(0).Output,
            second = (await ToolProcess.Run("inspect", context)).Expect(0).Output;
        Assert.DoesNotContain('\u001b', first + second);
        Assert.Contains("the mean of 2 templates: [red]{}[/] \\u001b[31m; a {}", first);
        Assert.Contains("1 vector, the class name, then 2; shared by the classes; initialised with 'a \\u001b]0;title\\u0007 [b]'", second);
    }

    private sealed class Row
    {
        public string ImagePath { get; set; } = "";
    }

    private static (int?, string, bool, string?, int) Of(ContextResults context) =>
        (context.Length, context.Position, context.ClassSpecific, context.Words, context.VectorCount);

    private async Task<double> ZeroShotAccuracy(string? templates = null)
    {
        ToolProcess.Outcome outcome = (
            await ToolProcess.Run([
                "zeroshot",
                data.Table("test"),
                "--clip",
                "tiny-drawn",
                "--format",
                "json",
                .. templates is null ? [] : new[] { "--templates", templates },
            ])
        ).Expect(0);
        using JsonDocument figures = JsonDocument.Parse(outcome.Output);
        return figures.RootElement.GetProperty("accuracy").GetProperty("accuracy").GetDouble();
    }
}
