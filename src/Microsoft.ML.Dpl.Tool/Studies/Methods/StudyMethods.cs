namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>A method as text: its kind, optionally followed by a colon and a value, then options.</summary>
/// <param name="Text">The text, such as <c>uniform:4 paper batch=16</c>.</param>
internal sealed record MethodText(string Text)
{
    /// <summary>The folder of ML.NET's ResNet-18 as given in the plan; null if it is not given.</summary>
    public string? ResNet18 { get; init; }

    private readonly string[] _words = Text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>The first word up to its colon; empty if there is no word.</summary>
    public string Kind => _words.Length == 0 ? "" : _words[0].Split(':')[0];

    /// <summary>What follows the colon of the first word; null without one.</summary>
    public string? Value => _words is [var first, ..] && first.IndexOf(':') is >= 0 and var colon ? first[(colon + 1)..] : null;

    /// <summary>The words after the first.</summary>
    public IReadOnlyList<string> Options => _words.Skip(1).ToArray();

    /// <exception cref="FormatException">The kind is followed by a colon, but takes no value.</exception>
    public void RefuseValue()
    {
        if (Value is not null)
            throw Unknown($"{Kind}:{Value}", $"{Kind} without a colon");
    }

    /// <exception cref="FormatException">The kind is followed by words, but takes no options.</exception>
    public void RefuseOptions()
    {
        if (Options is [var word, ..])
            throw Unknown(word, $"{Kind} alone");
    }

    /// <summary>Creates an exception for a word that cannot be parsed.</summary>
    /// <param name="word">The word.</param>
    /// <param name="expected">What is allowed in its place.</param>
    public FormatException Unknown(string word, string expected) => new($"'{word}' in the method '{Text}' is not known: give {expected}.");
}

/// <summary>Methods with a common syntax.</summary>
/// <param name="Kinds">The first words that belong to the family.</param>
/// <param name="Usage">Their syntax, for messages.</param>
/// <param name="Read">Creates a method; throws <see cref="FormatException"/> if a word cannot be parsed.</param>
internal sealed record MethodFamily(IReadOnlyList<string> Kinds, string Usage, Func<MethodText, IStudyMethod> Read);

/// <summary>All methods that a study can run, by their text.</summary>
internal static class StudyMethods
{
    private static readonly MethodFamily[] Families =
    [
        PromptMethod.Family,
        LinearProbe.Family,
        NearestMean.Family,
        TipAdapter.Family,
        ResNet18.Family,
    ];

    /// <param name="text">The method as written in a plan.</param>
    /// <param name="resNet18">The folder of ML.NET's ResNet-18 as given in the plan; null if it is not given.</param>
    /// <exception cref="FormatException">The text is not a known method; the message lists the known ones.</exception>
    public static IStudyMethod Parse(string text, string? resNet18 = null)
    {
        var method = new MethodText(text) { ResNet18 = resNet18 };
        MethodFamily family = Families.FirstOrDefault(family => family.Kinds.Contains(method.Kind))
            ?? throw method.Unknown(method.Kind, string.Join("; ", Families.Select(known => known.Usage)));
        return family.Read(method);
    }
}
