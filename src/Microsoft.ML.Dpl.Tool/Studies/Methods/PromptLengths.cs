using System.Globalization;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>The prompt lengths of a method for a CLIP and a seed.</summary>
internal static class PromptLengths
{
    public const string Usage =
        "zero-shot; uniform:N (N rows in every layer), text:N, image:N (in one tower's layers only); random or random:0,4,8 (each "
        + "layer's length drawn by the seed); search (the searched lengths alone) or default (the trainer as it is)";

    // The candidates of the robust recipe's search.
    private static readonly int[] Candidates = [0, 4, 8, 16];

    public static string[] Kinds { get; } = ["zero-shot", "uniform", "text", "image", "random", "search", "default"];

    /// <returns>A function that returns the lengths for a CLIP and a seed, or null if they are to be searched.</returns>
    /// <exception cref="FormatException">The value after the colon is invalid or missing.</exception>
    public static Func<ClipBackbone, int, PromptConfiguration?> Read(MethodText method)
    {
        string kind = method.Kind;
        if (kind is "uniform" or "text" or "image")
        {
            int length = Length(method.Value ?? "");
            return (clip, _) =>
                new PromptConfiguration(
                    [.. Enumerable.Repeat(kind == "image" ? 0 : length, clip.Config.Text.Layers)],
                    [.. Enumerable.Repeat(kind == "text" ? 0 : length, clip.Config.Image.Layers)]
                );
        }
        if (kind == "random")
        {
            int[] candidates = method.Value is { } given ? [.. given.Split(',').Select(each => Length(each))] : Candidates;
            return (clip, seed) => Drawn(clip, candidates, seed);
        }
        method.RefuseValue();
        return kind == "zero-shot" ? (clip, _) => PromptConfiguration.ZeroShot(clip) : (_, _) => null;

        int Length(string text) =>
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int length)
            && length <= PromptConfiguration.MaximumLength
                ? length
                : throw method.Unknown(
                    method.Value is null ? kind : $"{kind}:{method.Value}",
                    $"numbers of rows after the colon, 0 to {PromptConfiguration.MaximumLength}"
                );
    }

    private static PromptConfiguration Drawn(ClipBackbone clip, int[] candidates, int seed)
    {
        Random random = StudySeeds.Random("prompt lengths", seed);
        int[] Draw(int layers) => [.. Enumerable.Range(0, layers).Select(_ => candidates[random.Next(candidates.Length)])];
        int[] text = Draw(clip.Config.Text.Layers);
        return new PromptConfiguration(text, Draw(clip.Config.Image.Layers));
    }
}
