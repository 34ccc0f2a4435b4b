using System.CommandLine;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>An option whose values are the members of an enumeration in lower case; parsing ignores case.</summary>
/// <typeparam name="T">The enumeration; its members are single words.</typeparam>
internal sealed class ChoiceOption<T> : Option<string?>
    where T : struct, Enum
{
    private readonly T? _standard;

    /// <param name="name">The option's name, with its hyphens.</param>
    /// <param name="description">The description in the help.</param>
    /// <param name="standard">The value if the option is not given; null if there is no default.</param>
    public ChoiceOption(string name, string description, T? standard)
        : base(name)
    {
        string[] words = [.. Enum.GetNames<T>().Select(member => member.ToLowerInvariant())];
        (_standard, Description, HelpName) = (standard, description, string.Join('|', words));
        CompletionSources.Add(words);
        Validators.Add(result =>
        {
            foreach (
                var word in result
                    .Tokens.Select(token => token.Value)
                    .Where(word => !words.Contains(word, StringComparer.OrdinalIgnoreCase))
            )
                result.AddError($"{name} '{word}' is unknown: give one of {string.Join(", ", words)}.");
        });
        if (standard is { } value)
            DefaultValueFactory = _ => value.ToString().ToLowerInvariant();
    }

    /// <returns>The value, or the default if the option was not given; null if there is no default either.</returns>
    public T? Find(ParseResult arguments) => arguments.GetValue(this) is { } word ? Enum.Parse<T>(word, ignoreCase: true) : _standard;

    /// <summary>Returns the value, or the default if the option was not given. Only for options that have a default.</summary>
    public T Read(ParseResult arguments) => Find(arguments)!.Value;
}
