using System.CommandLine;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>The option for several templates, given as texts or by the name of a set that the library knows.</summary>
internal sealed class TemplatesOption : Option<string[]?>
{
    private const string OptionName = "--templates";

    /// <param name="use">First sentence of the help text: what the templates are for.</param>
    public TemplatesOption(string use)
        : base(OptionName)
    {
        Description =
            $"{use} Texts with {{}} for the name, or names of known ones: imagenet-80, promptsrc-60, or a data set's such as eurosat.";
        HelpName = "name|text";
        AllowMultipleArgumentsPerToken = true;
        CompletionSources.Add([.. ClipTemplates.Names]);
    }

    /// <returns>The templates; null if none was given.</returns>
    /// <exception cref="ArgumentException">A value is neither a text with exactly one {} nor a known name, or two templates are the same to
    /// CLIP.</exception>
    public IReadOnlyList<string>? Read(ParseResult arguments)
    {
        if (arguments.GetValue(this) is not { Length: > 0 } given)
            return null;
        string[] templates = [.. given.SelectMany(Texts)];
        var read = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        // CLIP ignores case and runs of spaces, so templates that differ only in these would count twice.
        if (
            templates.FirstOrDefault(text =>
                !read.Add(string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)))
            ) is
            { } twice
        )
            throw new ArgumentException($"{OptionName} gives '{twice}' twice as far as CLIP can tell: leave one of them out.");
        return templates;
    }

    private static IReadOnlyList<string> Texts(string given)
    {
        if (ClassTemplate.IsValid(given))
            return [given];
        try
        {
            return ClipTemplates.Named(given);
        }
        catch (ArgumentException e)
        {
            throw new ArgumentException(
                $"{OptionName} '{given}' is neither a text with {{}} once, where the class name goes, nor one of "
                    + $"{string.Join(", ", ClipTemplates.Names)}.",
                e
            );
        }
    }
}
