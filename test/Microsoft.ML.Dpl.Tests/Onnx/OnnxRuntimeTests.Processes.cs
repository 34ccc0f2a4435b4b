using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.OnnxRuntime;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Dpl.Tests.Onnx;

// Applications without libtorch.
public sealed partial class OnnxRuntimeTests
{
    [Theory]
    [InlineData(ModelContents.WithOnnx, false)]
    [InlineData(ModelContents.WithOnnx, true)]
    [InlineData(ModelContents.WithImageTower, false)]
    [InlineData(ModelContents.WithClip, true)]
    public async Task A_process_without_libtorch_says_the_same(ModelContents contents, bool oneByOne)
    {
        string application = Path.GetDirectoryName(SampleProcess.ProgramOf("PredictOnly"))!;
        Assert.DoesNotContain(Directory.EnumerateFiles(application, "*", SearchOption.AllDirectories), file =>
            Path.GetFileName(file).Contains("torch_c", StringComparison.Ordinal)
        );
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1", o => o.ModelContents = contents);
        await RequireSameFromProcess(trained, oneByOne);
    }

    /// <summary>CLIP's embeddings and one of ML.NET's own trainers on them.</summary>
    [Fact]
    public async Task A_process_without_libtorch_runs_a_pipeline_with_an_embedding()
    {
        IDataView train = _mlContext.Data.LoadFromEnumerable(images.Train);
        using TransformerChain<KeyToValueMappingTransformer> trained = _mlContext
            .Transforms.Conversion.MapValueToKey("Label")
            .Append(
                _mlContext.Transforms.ClipImageEmbedding(
                    "Features",
                    "ImagePath",
                    small.Backbone,
                    new ClipImageEmbeddingOptions { CarryClip = true }
                )
            )
            .AppendCacheCheckpoint(_mlContext)
            .Append(_mlContext.MulticlassClassification.Trainers.LbfgsMaximumEntropy())
            .Append(_mlContext.Transforms.Conversion.MapKeyToValue("PredictedLabel"))
            .Fit(train);
        await RequireSameFromProcess(trained, oneByOne: false);
    }

    /// <summary>ONNX Runtime would first store the telemetry it wants to send, and an identifier, in the user's cache.</summary>
    [SkippableFact]
    public async Task A_process_leaves_nothing_to_be_sent_to_anyone()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "Where ONNX Runtime keeps what it would send was looked at on Linux only.");
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1");
        string home = _folder.File("home");
        Directory.CreateDirectory(home);
        var environment = new Dictionary<string, string?>(WithoutLibTorch)
        {
            ["HOME"] = home,
            ["XDG_CACHE_HOME"] = null,
            [OnnxNative.TelemetryVariable] = null,
        };
        SampleProcess.Outcome ended = await SampleProcess.Run("PredictOnly", environment, [Save(trained), images.Test[0].ImagePath]);
        Assert.Equal(("", 0), (ended.Error, ended.ExitCode));
        Assert.Empty(Directory.EnumerateFileSystemEntries(home));
    }

    [Fact]
    public async Task A_process_without_libtorch_says_how_a_zip_of_prompts_could_be_used()
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1", o => o.ModelContents = ModelContents.PromptsOnly);
        SampleProcess.Outcome ended = await Predict([Save(trained), images.Test[0].ImagePath]);
        Assert.Equal(1, ended.ExitCode);
        Assert.Contains("add the NuGet package libtorch-cpu-", ended.Error);
        Assert.Contains("Contents = ModelContents.WithImageTower or Contents = ModelContents.WithOnnx", ended.Error);
        Assert.Contains("dpl fit --contents image-tower", ended.Error);
        Assert.Contains("add the package Microsoft.ML.Dpl.OnnxRuntime here", ended.Error);
        Assert.Single(ended.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_process_without_libtorch_says_how_an_embedding_of_a_named_CLIP_could_be_used(bool ofTexts)
    {
        using ClipEmbeddingTransformer trained = ofTexts
            ? _mlContext.Transforms.ClipTextEmbedding("Features", "Label", small.Backbone).Fit(Test)
            : _mlContext.Transforms.ClipImageEmbedding("Features", "ImagePath", small.Backbone).Fit(Test);
        SampleProcess.Outcome ended = await Predict([Save(trained), images.Test[0].ImagePath]);
        Assert.Equal(1, ended.ExitCode);
        Assert.Contains("libtorch was not found beside the application", ended.Error);
        Assert.Contains(
            "save it with CarriesClip = true (the option CarryClip), and add the package Microsoft.ML.Dpl.OnnxRuntime here",
            ended.Error
        );
        Assert.Single(ended.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public async Task A_process_without_libtorch_finds_images_by_words()
    {
        using ClipEmbeddingTransformer texts = _mlContext
                .Transforms.ClipTextEmbedding("Features", "Text", small.Backbone, new ClipTextEmbeddingOptions { CarryClip = true })
                .Fit(_mlContext.Data.LoadFromEnumerable(new[] { new { Text = "" } })),
            pictured = _mlContext
                .Transforms.ClipImageEmbedding("Features", "ImagePath", small.Backbone, new ClipImageEmbeddingOptions { CarryClip = true })
                .Fit(Test);
        const string words = "a red thing";
        IDataView asked = _mlContext.Data.LoadFromEnumerable(new[] { new { Text = words } });
        float[] question = texts.Transform(asked).GetColumn<float[]>("Features").Single();
        string[] paths = [.. images.Test.Select(row => row.ImagePath)];
        float[] expected =
        [
            .. pictured.Transform(Test).GetColumn<float[]>("Features").Select(vector => vector.Zip(question, (a, b) => a * b).Sum()),
        ];
        SampleProcess.Outcome ended = await SampleProcess.Run(
            "ImageSearch",
            WithoutLibTorch,
            [Save(pictured), Save(texts), words, .. paths]
        );
        Assert.Equal(("", 0), (ended.Error, ended.ExitCode));
        (double Cosine, string Path)[] found =
        [
            .. ended
                .Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => line.Split("  ", 2))
                .Select(parts => (double.Parse(parts[0], CultureInfo.InvariantCulture), parts[1])),
        ];
        Assert.Equal(found.OrderByDescending(image => image.Cosine), found);
        Assert.Equal(paths.Order(), found.Select(image => image.Path).Order());
        Assert.All(found, image => Assert.Equal(expected[Array.IndexOf(paths, image.Path)], image.Cosine, 0.0006));
    }

    /// <summary>Runs the application without the scoring package, as if it had never been referenced.</summary>
    [Theory]
    [InlineData(ModelContents.WithImageTower)]
    [InlineData(ModelContents.WithOnnx)]
    public async Task A_process_without_the_package_says_which_one_to_add(ModelContents contents)
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1", o => o.ModelContents = contents);
        string program = ProgramWithout("Microsoft.ML.Dpl.OnnxRuntime.dll", "Microsoft.ML.Dpl.Onnx.dll");
        SampleProcess.Outcome ended = await SampleProcess.Start(program, WithoutLibTorch, Save(trained), images.Test[0].ImagePath);
        Assert.Equal(1, ended.ExitCode);
        Assert.Contains("libtorch was not found beside the application", ended.Error);
        Assert.Contains("add the package Microsoft.ML.Dpl.OnnxRuntime, with which ONNX Runtime scores this model", ended.Error);
        Assert.Single(ended.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public async Task A_process_without_the_native_library_says_so()
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1");
        // The copy has only the managed assemblies, no native libraries.
        SampleProcess.Outcome ended = await SampleProcess.Start(ProgramWithout(), WithoutLibTorch, Save(trained), images.Test[0].ImagePath);
        Assert.Equal(1, ended.ExitCode);
        Assert.Contains("ONNX Runtime cannot be loaded on ", ended.Error);
        Assert.Contains("Reference the package Microsoft.ML.OnnxRuntime in the application itself", ended.Error);
        Assert.Single(ended.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    private static Dictionary<string, string?> WithoutLibTorch => new() { ["DPL_LIBTORCH"] = null };

    private static Task<SampleProcess.Outcome> Predict(string[] arguments) => SampleProcess.Run("PredictOnly", WithoutLibTorch, arguments);

    /// <summary>Copies the sample without some of its assemblies, and without the .deps.json, whose entries the host would insist
    /// on.</summary>
    private string ProgramWithout(params string[] assemblies)
    {
        string built = SampleProcess.ProgramOf("PredictOnly");
        Directory.CreateDirectory(_folder.File("copy"));
        foreach (string file in Directory.EnumerateFiles(Path.GetDirectoryName(built)!))
        {
            string name = Path.GetFileName(file);
            if (
                !assemblies.Contains(name)
                && (name.EndsWith(".dll", StringComparison.Ordinal) || name.EndsWith(".runtimeconfig.json", StringComparison.Ordinal))
            )
                _folder.Copy(file, $"copy/{name}");
        }
        return _folder.File($"copy/{Path.GetFileName(built)}");
    }

    private async Task RequireSameFromProcess(ITransformer trained, bool oneByOne)
    {
        string[] arguments = [Save(trained), .. images.Test.Select(row => row.ImagePath)];
        SampleProcess.Outcome ended = await Predict(oneByOne ? ["--engine", .. arguments] : arguments);
        Assert.Equal("", ended.Error);
        Assert.Equal(0, ended.ExitCode);
        JsonElement[] lines =
        [
            .. ended.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement),
        ];
        RequireClose(
            Scores(trained, Test),
            [.. lines.Select(line => line.GetProperty("score").EnumerateArray().Select(score => score.GetSingle()).ToArray())]
        );
        Assert.Equal(
            trained.Transform(Test).GetColumn<string>("PredictedLabel"),
            lines.Select(line => line.GetProperty("label").GetString())
        );
    }
}
