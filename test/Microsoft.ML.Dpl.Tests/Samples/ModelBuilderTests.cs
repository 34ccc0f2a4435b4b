using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Drawing.Tasks;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using ModelBuilder;

namespace Microsoft.ML.Dpl.Tests.Samples;

/// <summary>The sample in the form that Model Builder generates, as a program and as a class.</summary>
public sealed partial class ModelBuilderTests
{
    private static readonly Dictionary<string, string?> Nothing = [];

    [Fact]
    public async Task One_command_trains_on_a_folder_and_the_model_answers_in_another_process()
    {
        using var folder = new TemporaryFolder();
        DrawnTask task = DrawnTasks.Named("lighting");
        DrawnTaskFiles.Write(task, folder.FullPath, trainPerClass: 16, validationPerClass: 1, testPerClass: 10, seed: 3);
        string zip = folder.File("made/model.zip");
        SampleProcess.Outcome trained = await Run(
            "train",
            folder.File("train"),
            "--test",
            folder.File("test"),
            "--output",
            zip,
            "--template",
            task.Template,
            "--search-epochs",
            "4",
            "--training-epochs",
            "15"
        );
        // Chance is 1 in 8; there are 80 test images.
        Assert.InRange(Accuracy(trained), 0.5, 1);

        string[] images =
        [
            .. Directory.GetFiles(folder.File("test"), "000.png", SearchOption.AllDirectories).Order(StringComparer.Ordinal),
        ];
        IReadOnlyList<Answer> answers = Answers(await Run(["predict", zip, .. images]));
        Assert.Equal(images.Length, answers.Count);
        Assert.All(answers, answer =>
            Assert.Equal(task.ClassNames.Order(StringComparer.Ordinal), answer.Labels.Order(StringComparer.Ordinal))
        );

        // The same code and the same model in an application without libtorch.
        string consumer = SampleProcess.ProgramOf("ModelBuilderConsumer");
        Assert.DoesNotContain(Directory.EnumerateFiles(Path.GetDirectoryName(consumer)!, "*", SearchOption.AllDirectories), file =>
            Path.GetFileName(file).Contains("torch_c", StringComparison.Ordinal)
        );
        IReadOnlyList<Answer> light = Answers(await SampleProcess.Start(consumer, Nothing, [zip, .. images]));
        Assert.Equal(answers.Count, light.Count);
        foreach (var (heavy, same) in answers.Zip(light))
        {
            Assert.Equal(heavy.Labels, same.Labels);
            // Each probability is printed with four digits.
            Assert.All(heavy.Probabilities.Zip(same.Probabilities), pair => Assert.InRange(pair.First - pair.Second, -0.00011, 0.00011));
        }

        // The same model through the class that an application would copy from the sample.
        FlowerClassifier.MLNetModelPath = zip;
        using (FlowerClassifier.PredictEngine.Value)
        {
            foreach (var (image, answer) in images.Zip(answers))
            {
                var input = new FlowerClassifier.ModelInput { ImageSource = File.ReadAllBytes(image), Label = task.ClassNames[1] };
                KeyValuePair<string, float>[] all = [.. FlowerClassifier.PredictAllLabels(input)];
                Assert.Equal(answer.Labels, all.Select(pair => pair.Key));
                Assert.Equal(all.Select(pair => pair.Value).OrderDescending(), all.Select(pair => pair.Value));
                Assert.InRange(all.Sum(pair => pair.Value), 1 - 1e-5, 1 + 1e-5);
                FlowerClassifier.ModelOutput output = FlowerClassifier.Predict(input);
                Assert.Equal(all[0].Key, output.PredictedLabel);
                Assert.Equal(input.ImageSource, output.ImageSource);
                Assert.Equal(task.ClassNames[1], FlowerClassifier.GetLabels().ElementAt((int)output.Label - 1));
            }
        }
    }

    /// <summary>Photographs of 5 flowers that the CLIP has never seen: chance is 20 %, zero-shot classifies 21 of 200 correctly.</summary>
    [SkippableFact]
    [Trait("Category", "Slow")]
    public async Task It_learns_flowers()
    {
        string flowers = SharedData.Require("data/flowers"),
            clip = SharedData.Require("surrogate-clip");
        using var folder = new TemporaryFolder();
        foreach (string directory in Directory.GetDirectories(flowers))
        {
            string name = Path.GetFileName(directory);
            string[] images = [.. Directory.GetFiles(directory, "*.jpg").Order(StringComparer.Ordinal)];
            foreach (var (split, files) in new[] { ("train", images[..16]), ("test", images[16..]) })
            {
                Directory.CreateDirectory(folder.File($"{split}/{name}"));
                foreach (string file in files)
                    folder.Copy(file, $"{split}/{name}/{Path.GetFileName(file)}");
            }
        }
        SampleProcess.Outcome trained = await Run(
            "train",
            folder.File("train"),
            "--test",
            folder.File("test"),
            "--clip",
            clip,
            "--output",
            folder.File("flowers.zip"),
            "--search-epochs",
            "6",
            "--training-epochs",
            "20",
            "--template",
            "a photo of a {}, a type of flower."
        );
        // Three standard errors above chance for 120 images.
        Assert.InRange(Accuracy(trained), 0.31, 1);
        Answers(await Run("predict", folder.File("flowers.zip"), Directory.GetFiles(folder.File("test/tulips"), "*.jpg")[0]));
    }

    [Fact]
    public async Task Wrong_input_ends_with_one_line_that_says_what_to_do()
    {
        using var folder = new TemporaryFolder();
        SampleProcess.Outcome empty = await Run("train", folder.FullPath);
        Assert.Equal(1, empty.ExitCode);
        Assert.Contains("Make one folder for each class", Assert.Single(empty.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries)));

        Directory.CreateDirectory(folder.File("images/cat"));
        Directory.CreateDirectory(folder.File("images/dog"));
        File.WriteAllText(folder.File("images/cat/1.jpg"), "no image");
        File.WriteAllText(folder.File("images/dog/1.jpg"), "no image");
        SampleProcess.Outcome broken = await Run("train", folder.File("images"), "--search-epochs", "0");
        Assert.Equal(1, broken.ExitCode);
        Assert.Contains("Row 0", Assert.Single(broken.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries)));

        SampleProcess.Outcome missing = await Run("predict", folder.File("none.zip"), folder.File("images/cat/1.jpg"));
        Assert.NotEqual(0, missing.ExitCode);
        Assert.Contains("none.zip", missing.Error);
    }

    [Fact]
    public void The_configuration_is_what_Model_Builder_opens()
    {
        using JsonDocument configuration = JsonDocument.Parse(
            File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "samples/ModelBuilder/FlowerClassifier.mbconfig"))
        );
        Assert.Equal("TrainingConfig", configuration.RootElement.GetProperty("Type").GetString());
        Assert.Equal("ImageClassification", configuration.RootElement.GetProperty("Scenario").GetString());
        Assert.Equal("Folder", configuration.RootElement.GetProperty("DataSource").GetProperty("Type").GetString());
    }

    private static Task<SampleProcess.Outcome> Run(params string[] arguments) => SampleProcess.Run("ModelBuilder", Nothing, arguments);

    private static double Accuracy(SampleProcess.Outcome trained)
    {
        Assert.True(trained.ExitCode == 0, trained.Output + trained.Error);
        return double.Parse(AccuracyLine().Match(trained.Output).Groups[1].Value, CultureInfo.InvariantCulture);
    }

    /// <summary>Parses what predict prints, and requires the probabilities of each answer to be sorted.</summary>
    private static IReadOnlyList<Answer> Answers(SampleProcess.Outcome predicted)
    {
        Assert.True(predicted.ExitCode == 0, predicted.Output + predicted.Error);
        var answers = new List<Answer>();
        foreach (string line in predicted.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (ClassLine().Match(line) is { Success: true } match)
                answers[^1].Add(match.Groups[2].Value, double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture));
            else
                answers.Add(new Answer());
        }
        Assert.All(answers, answer =>
        {
            Assert.Equal(answer.Probabilities.OrderDescending(), answer.Probabilities);
            // Each probability is printed with four digits.
            Assert.InRange(answer.Probabilities.Sum(), 1 - 0.00005 * answer.Labels.Count, 1 + 0.00005 * answer.Labels.Count);
        });
        return answers;
    }

    private sealed class Answer
    {
        public List<string> Labels { get; } = [];

        public List<double> Probabilities { get; } = [];

        public void Add(string label, double probability)
        {
            Labels.Add(label);
            Probabilities.Add(probability);
        }
    }

    [GeneratedRegex(@"Accuracy on .*: (\d\.\d+),")]
    private static partial Regex AccuracyLine();

    [GeneratedRegex(@"^  (\d\.\d+)  (.+)$")]
    private static partial Regex ClassLine();
}
