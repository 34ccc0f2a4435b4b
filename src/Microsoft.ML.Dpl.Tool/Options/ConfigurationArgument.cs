using System.Globalization;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>Prompt lengths on a command line: <c>search</c>, <c>zero-shot</c>, <c>uniform:4</c>, a JSON file, or <c>text 2 4 | image 0
/// 6</c>.</summary>
internal static class ConfigurationArgument
{
    /// <summary>The forms that <see cref="Read"/> accepts, for help and messages.</summary>
    public const string Forms =
        "zero-shot; uniform:N, N rows in every layer; a .json file that dpl search wrote; or the lengths themselves, as \"text 2 4 6 "
        + "| image 0 6 4\"";

    private const string UniformPrefix = "uniform:";

    /// <summary>The keyword for a search.</summary>
    public const string Search = "search";

    /// <summary>The keyword for zero-shot CLIP.</summary>
    public const string ZeroShot = "zero-shot";

    /// <summary>Whether a text is the keyword for zero-shot CLIP. Lengths of 0 in another form do not count, since they may be combined
    /// with a learned context.</summary>
    public static bool IsZeroShot(string text) => text.Trim() == ZeroShot;

    /// <summary>Values to suggest in completion.</summary>
    public static string[] Words { get; } = [Search, ZeroShot, "uniform:2", "uniform:4", "uniform:6"];

    /// <summary>Parses a configuration as far as possible without a CLIP, so that errors are reported before one is opened.</summary>
    /// <param name="text">One of the forms.</param>
    /// <returns>A function that returns the lengths for a CLIP, which determines the number of layers; it returns null for
    /// <see cref="Search"/>.</returns>
    /// <exception cref="ArgumentException">The text has none of the forms, or a length is out of range.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="FormatException">The file holds no configuration.</exception>
    public static Func<ClipBackbone, PromptConfiguration?> Read(string text)
    {
        string form = text.Trim();
        if (form == Search)
            return _ => null;
        if (form == ZeroShot)
            return PromptConfiguration.ZeroShot;
        if (form.StartsWith(UniformPrefix, StringComparison.Ordinal))
        {
            if (
                !int.TryParse(form.AsSpan(UniformPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int length)
                || length > PromptConfiguration.MaximumLength
            )
                throw new ArgumentException(
                    $"'{form}' is not a uniform configuration: write uniform:4 for 4 rows in every layer, at most "
                        + $"{PromptConfiguration.MaximumLength}."
                );
            return backbone => PromptConfiguration.Uniform(backbone, length);
        }
        PromptConfiguration lengths = Lengths(form);
        return _ => lengths;
    }

    private static PromptConfiguration Lengths(string form)
    {
        if (File.Exists(form))
            return ReadFile(form);
        if (Path.GetExtension(form).Equals(".json", StringComparison.OrdinalIgnoreCase))
            throw new FileNotFoundException($"There is no configuration file '{form}'.", form);
        try
        {
            return PromptConfiguration.Parse(form);
        }
        catch (FormatException e)
        {
            throw new ArgumentException($"'{form}' is not a configuration. Give one of: {Forms}.", e);
        }
    }

    private static PromptConfiguration ReadFile(string path)
    {
        try
        {
            return PromptConfiguration.FromJson(File.ReadAllText(path));
        }
        catch (FormatException e)
        {
            throw new FormatException(
                $"The file '{path}' is not a configuration as dpl search writes it: {(e.InnerException ?? e).Message}",
                e
            );
        }
    }
}
