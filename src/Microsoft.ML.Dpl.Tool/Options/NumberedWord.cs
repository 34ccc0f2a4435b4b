using System.Globalization;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>A number that follows a keyword on a command line.</summary>
/// <param name="Name">The name of the number, for messages.</param>
/// <param name="Standard">The default value.</param>
/// <param name="Holds">Returns whether a value is in range.</param>
/// <param name="Range">Description of that range, for messages.</param>
internal sealed record WordNumber(string Name, double Standard, Func<double, bool> Holds, string Range)
{
    // Steps are computed in float32.
    private static readonly string AndFinite = FormattableString.Invariant($" and at most {float.MaxValue:g2}");

    public static WordNumber AboveZero(string name, double standard) =>
        new(name, standard, value => value is > 0 and <= float.MaxValue, "above 0" + AndFinite);

    public static WordNumber AtLeastZero(string name, double standard) =>
        new(name, standard, value => value is >= 0 and <= float.MaxValue, "at least 0" + AndFinite);
}

/// <summary>A keyword followed by a colon and numbers, as in <c>promptsrc:25,10,1</c>; omitted numbers have their default values.</summary>
/// <param name="Word">The keyword in lower case.</param>
/// <param name="Numbers">The numbers in order.</param>
internal sealed record NumberedWord(string Word, params IReadOnlyList<WordNumber> Numbers)
{
    /// <summary>The keyword with the default values of all its numbers.</summary>
    public string Example => $"{Word}:{Listed}";

    private string Listed => string.Join(',', Numbers.Select(number => number.Standard.ToString(CultureInfo.InvariantCulture)));

    /// <summary>Parses a text into one of several keywords and its numbers.</summary>
    /// <param name="option">The option's name, for messages.</param>
    /// <param name="text">The keyword, optionally followed by a colon and numbers.</param>
    /// <param name="words">The known keywords.</param>
    /// <exception cref="ArgumentException">The keyword is unknown, there are too many numbers, or one cannot be parsed or is out of
    /// range.</exception>
    public static (NumberedWord Word, double[] Numbers) Read(string option, string text, IReadOnlyList<NumberedWord> words)
    {
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        string name = (colon < 0 ? text : text[..colon]).Trim();
        NumberedWord word = words.FirstOrDefault(each => each.Word.Equals(name, StringComparison.OrdinalIgnoreCase))
            ?? throw new ArgumentException(
                $"{option} '{text}' is unknown: give one of {string.Join(", ", words.Select(each => each.Word))}, with numbers as in "
                    + $"{words.MaxBy(each => each.Numbers.Count)!.Example} to change the defaults."
            );
        return (word, colon < 0 ? word.Standards : word.ReadNumbers(option, text, text[(colon + 1)..], word.Example));
    }

    /// <summary>Parses numbers without the keyword, separated by commas.</summary>
    /// <param name="option">The option's name, for messages.</param>
    /// <param name="numbers">The text; null for the default values.</param>
    /// <exception cref="ArgumentException">There are too many numbers, or one cannot be parsed or is out of range.</exception>
    public double[] ReadAlone(string option, string? numbers) =>
        numbers is null ? Standards : ReadNumbers(option, numbers, numbers, $"{option} {Listed}");

    private double[] Standards => [.. Numbers.Select(number => number.Standard)];

    private double[] ReadNumbers(string option, string text, string numbers, string example)
    {
        string[] written = numbers.Split(',');
        if (written.Length > Numbers.Count)
            throw new ArgumentException(
                $"{option} '{text}' has {written.Length} numbers, but {Word} takes {Numbers.Count}: "
                    + $"{string.Join(", ", Numbers.Select(number => number.Name))}, as in {example}."
            );
        double[] values = Standards;
        for (int i = 0; i < written.Length; i++)
        {
            if (!double.TryParse(written[i], NumberStyles.Float, CultureInfo.InvariantCulture, out double value))
                throw new ArgumentException($"{option} '{text}': '{written[i]}' is not a number. Write it as in {example}.");
            if (!Numbers[i].Holds(value))
                throw new ArgumentException(
                    FormattableString.Invariant($"{option} '{text}': its {Numbers[i].Name} must be {Numbers[i].Range}; it is {value}.")
                );
            values[i] = value;
        }
        return values;
    }
}
