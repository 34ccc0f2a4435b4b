using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Studies.Runs;

/// <summary>The result of a run, as stored in its file.</summary>
/// <param name="Form">Version of the file's format: <see cref="CurrentForm"/>.</param>
/// <param name="Protocol">Name of the protocol.</param>
/// <param name="Data">Name of the data set that was trained on.</param>
/// <param name="Shots">Number of training images per class; null: all images, or the method learns nothing.</param>
/// <param name="Seed">Seed of the draw and the fit; null if nothing depends on it.</param>
/// <param name="Method">Name of the method.</param>
/// <param name="Text">The method as text.</param>
/// <param name="Settings">Everything else that the results depend on.</param>
/// <param name="Learns">Whether the method learns from images.</param>
/// <param name="TrainImages">Number of training images used.</param>
/// <param name="ValidationImages">Number of validation images used.</param>
/// <param name="Tests">Results of the tests, at least one.</param>
/// <param name="TrainedNumbers">Number of parameters learnt from images.</param>
/// <param name="ValidationAccuracy">Accuracy on the validation images, 0 to 1; null if it is not known.</param>
/// <param name="Choice">What the method chose by itself; null if nothing.</param>
/// <param name="FitSeconds">Wall-clock time of fitting in seconds.</param>
/// <param name="TestSeconds">Wall-clock time of all tests in seconds.</param>
/// <param name="Warnings">Warnings during the run.</param>
/// <param name="Library">Version of Microsoft.ML.Dpl, with its commit if the build knew it; null in older results, which lack it.</param>
internal sealed record RunResult(
    int Form,
    string Protocol,
    string Data,
    int? Shots,
    int? Seed,
    string Method,
    string Text,
    RunSettings Settings,
    bool Learns,
    int TrainImages,
    int ValidationImages,
    IReadOnlyList<TestFigures> Tests,
    long TrainedNumbers,
    double? ValidationAccuracy,
    string? Choice,
    double FitSeconds,
    double TestSeconds,
    IReadOnlyList<string> Warnings,
    string? Library = null
)
{
    /// <summary>The format version that this code writes.</summary>
    public const int CurrentForm = 1;

    /// <summary>Serializes the result to the content of its file.</summary>
    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, ToolJson.Indented);

    /// <returns>The result; null if the file is not a result, or has another format version.</returns>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static RunResult? TryRead(string file)
    {
        try
        {
            using FileStream stream = File.OpenRead(file);
            return
                JsonSerializer.Deserialize<RunResult>(stream, ToolJson.Indented)
                    is {
                        Form: CurrentForm,
                        Tests.Count: > 0,
                        Settings: not null,
                        Method: not null,
                        Protocol: not null,
                        Data: not null
                    } result
                ? result
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>Everything besides data, seed and method that the results of a run depend on.</summary>
/// <param name="Clip">The CLIP as the plan names it.</param>
/// <param name="ClipSha256">SHA-256 of its weights.</param>
/// <param name="Device">The device it ran on.</param>
/// <param name="Threads">Number of libtorch's threads.</param>
/// <param name="Template">The template of a class's text.</param>
/// <param name="Tests">Names of the tests' data sets.</param>
/// <param name="Paths">Paths of the images of all data sets as given in the plan; null in older results, which lack them.</param>
/// <param name="TestTemplates">The templates of the tests' data sets, with which a method that learns nothing is fitted; null for other
/// methods, and in older results.</param>
internal sealed record RunSettings(
    string Clip,
    string ClipSha256,
    string Device,
    int Threads,
    string Template,
    string Tests,
    string? Paths = null,
    string? TestTemplates = null
)
{
    /// <summary>Describes the first difference between two runs; null if there is none. The CLIP's name is ignored, since its folder may
    /// have been moved.</summary>
    /// <param name="text">The method of this run.</param>
    /// <param name="otherText">The method of the other run.</param>
    /// <param name="other">The settings of the other run.</param>
    public string? Difference(string text, string otherText, RunSettings other)
    {
        (string What, string Here, string There)[] all =
        [
            ("method", text, otherText),
            ("CLIP's SHA-256", ClipSha256, other.ClipSha256),
            ("device", Device, other.Device),
            ("number of threads", $"{Threads}", $"{other.Threads}"),
            ("template", Template, other.Template),
            ("list of tests", Tests, other.Tests),
            ("place of its images", Paths ?? "", other.Paths ?? Paths ?? ""),
            ("list of the tests' templates", TestTemplates ?? other.TestTemplates ?? "", other.TestTemplates ?? TestTemplates ?? ""),
        ];
        foreach (var (what, here, there) in all)
            if (here != there)
                return $"another {what}: '{there}' instead of '{here}'";
        return null;
    }
}

/// <summary>The results of one test.</summary>
/// <param name="Name">Name of the test.</param>
/// <param name="Classes">Number of classes to choose from.</param>
/// <param name="Images">Number of test images, at least one.</param>
/// <param name="Right">Number of correctly classified images.</param>
/// <param name="LogLoss">Mean negative log-likelihood of the true class, in nats; probabilities below 1e-15 count as 1e-15.</param>
internal sealed record TestFigures(string Name, int Classes, int Images, int Right, double LogLoss)
{
    /// <summary>Accuracy, 0 to 1.</summary>
    [JsonIgnore]
    public double Accuracy => (double)Right / Images;
}
