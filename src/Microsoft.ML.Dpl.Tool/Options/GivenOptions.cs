using System.CommandLine;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>Tells options that were given on the command line from those at their defaults.</summary>
internal static class GivenOptions
{
    /// <summary>Whether an option was given.</summary>
    public static bool IsGiven(this ParseResult arguments, Option option) => arguments.GetResult(option) is { Implicit: false };

    /// <summary>Refuses options that would have no effect.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="rest">The rest of the message after the option's name: why it has no effect, and what to do.</param>
    /// <param name="options">The options without effect.</param>
    /// <exception cref="ArgumentException">One of the options was given.</exception>
    public static void RefuseGiven(this ParseResult arguments, string rest, params IEnumerable<Option> options)
    {
        foreach (Option option in options)
            if (arguments.IsGiven(option))
                throw new ArgumentException($"{option.Name} {rest}");
    }
}
