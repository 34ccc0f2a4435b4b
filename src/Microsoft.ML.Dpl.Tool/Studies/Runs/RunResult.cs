using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Studies.Runs;

/// <summary>What a run came to, as it lies in its file.</summary>
/// <param name="Form">Of the file: <see cref="CurrentForm"/>.</param>
/// <param name="Protocol">Its name.</param>
/// <param name="Data">What was trained on.</param>
/// <param name="Shots">Training images of each class; null: all there are, or nothing was learnt.</param>
/// <param name="Seed">Of draw and fit; null where nothing depends on it.</param>
/// <param name="Method">Its name.</param>
/// <param name="Text">What the method is.</param>
/// <param name="Settings">What else the figures depend on.</param>
/// <param name="Learns">Whether the method learns from images.</param>
/// <param name="TrainImages">That it was given.</param>
/// <param name="ValidationImages">Likewise.</param>
/// <param name="Tests">At least one.</param>
/// <param name="TrainedNumbers">Learnt from images.</param>
/// <param name="ValidationAccuracy">0 to 1; null where it is not known.</param>
/// <param name="Choice">What the method chose by itself; null: nothing.</param>
/// <param name="FitSeconds">Wall time of learning.</param>
/// <param name="TestSeconds">Wall time of all tests.</param>
/// <param name="Warnings">What should be known beside the figures.</param>
/// <param name="Library">Version of Microsoft.ML.Dpl, with its commit where the build knew that; null in results from before it was kept.
/// </param>
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
    /// <summary>What this version writes.</summary>
    public const int CurrentForm = 1;

    /// <summary>As a file.</summary>
    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, ToolJson.Indented);

    /// <returns>Null where the file is no result, or of another form.</returns>
    /// <exception cref="IOException">It cannot be read.</exception>
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

/// <summary>What the figures of a run depend on beside data, seed and method.</summary>
/// <param name="Clip">The CLIP as the plan names it.</param>
/// <param name="ClipSha256">Of its weights.</param>
/// <param name="Device">That it ran on.</param>
/// <param name="Threads">Of libtorch.</param>
/// <param name="Template">The text of a class.</param>
/// <param name="Tests">Their names.</param>
/// <param name="Paths">Where the images of all data sets are, as the plan says it; null in results from before it was kept.</param>
internal sealed record RunSettings(
    string Clip,
    string ClipSha256,
    string Device,
    int Threads,
    string Template,
    string Tests,
    string? Paths = null
)
{
    /// <summary>What makes another run of it, in words; null: nothing. The CLIP's name does not: a folder may have moved.</summary>
    /// <param name="text">The method here.</param>
    /// <param name="otherText">The method there.</param>
    /// <param name="other">The settings there.</param>
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
        ];
        foreach (var (what, here, there) in all)
            if (here != there)
                return $"another {what}: '{there}' instead of '{here}'";
        return null;
    }
}

/// <summary>The figures of one test.</summary>
/// <param name="Name">Of the test.</param>
/// <param name="Classes">That were told apart.</param>
/// <param name="Images">At least one.</param>
/// <param name="Right">Those that were classified rightly.</param>
/// <param name="LogLoss">Mean of −ln of the right class's probability, in nats; probabilities below 1e-15 count as that.</param>
internal sealed record TestFigures(string Name, int Classes, int Images, int Right, double LogLoss)
{
    /// <summary>0 to 1.</summary>
    [JsonIgnore]
    public double Accuracy => (double)Right / Images;
}
