using System.CommandLine;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>An option whose values are the members of an enumeration, in lower case; case does not matter.</summary>
/// <typeparam name="T">Its members are single words.</typeparam>
internal sealed class ChoiceOption<T> : Option<string?>
    where T : struct, Enum
{
    private readonly T? _standard;

    /// <param name="name">With its hyphens.</param>
    /// <param name="description">For the help.</param>
    /// <param name="standard">What is taken where the option is not given; null: there is no such value.</param>
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

    /// <returns>Null where it was not given and there is no standard.</returns>
    public T? Find(ParseResult arguments) => arguments.GetValue(this) is { } word ? Enum.Parse<T>(word, ignoreCase: true) : _standard;

    /// <summary>The same where there is a standard.</summary>
    public T Read(ParseResult arguments) => Find(arguments)!.Value;
}
