using System.CommandLine;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>Several texts of a class, given themselves or by the name of a set that the library knows.</summary>
internal sealed class TemplatesOption : Option<string[]?>
{
    private const string OptionName = "--templates";

    /// <param name="use">What they are for, as the help's first sentence.</param>
    public TemplatesOption(string use)
        : base(OptionName)
    {
        Description =
            $"{use} Texts with {{}} for the name, or names of known ones: imagenet-80, promptsrc-60, or a data set's such as eurosat.";
        HelpName = "name|text";
        AllowMultipleArgumentsPerToken = true;
        CompletionSources.Add([.. ClipTemplates.Names]);
    }

    /// <returns>Null where none was given.</returns>
    /// <exception cref="ArgumentException">One is neither a text with {} once nor a known name, or CLIP reads two alike.</exception>
    public IReadOnlyList<string>? Read(ParseResult arguments)
    {
        if (arguments.GetValue(this) is not { Length: > 0 } given)
            return null;
        string[] templates = [.. given.SelectMany(Texts)];
        var read = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        // As CLIP reads them: one that differs in case or spaces would count twice.
        if (
            templates.FirstOrDefault(text =>
                !read.Add(string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)))
            ) is
            { } twice
        )
            throw new ArgumentException($"{OptionName} gives '{twice}' twice, and CLIP reads it alike: leave one of them out.");
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
