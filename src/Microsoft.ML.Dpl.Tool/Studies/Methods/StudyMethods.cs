namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>A method as text: its kind, perhaps with a value behind a colon, then words.</summary>
/// <param name="Text">Such as <c>uniform:4 paper batch=16</c>.</param>
internal sealed record MethodText(string Text)
{
    /// <summary>Where the plan says that ML.NET's ResNet-18 lies; null: it does not.</summary>
    public string? ResNet18 { get; init; }

    private readonly string[] _words = Text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>The first word up to its colon; empty where there is no word.</summary>
    public string Kind => _words.Length == 0 ? "" : _words[0].Split(':')[0];

    /// <summary>What follows the colon of the first word; null without one.</summary>
    public string? Value => _words is [var first, ..] && first.IndexOf(':') is >= 0 and var colon ? first[(colon + 1)..] : null;

    /// <summary>The words behind the first.</summary>
    public IReadOnlyList<string> Options => _words.Skip(1).ToArray();

    /// <exception cref="FormatException">There is a colon behind the kind, which takes none.</exception>
    public void RefuseValue()
    {
        if (Value is not null)
            throw Unknown($"{Kind}:{Value}", $"{Kind} without a colon");
    }

    /// <exception cref="FormatException">There are words behind the kind, which takes none.</exception>
    public void RefuseOptions()
    {
        if (Options is [var word, ..])
            throw Unknown(word, $"{Kind} alone");
    }

    /// <summary>That a word of it cannot be read.</summary>
    /// <param name="word">The word.</param>
    /// <param name="expected">What can stand there.</param>
    public FormatException Unknown(string word, string expected) => new($"'{word}' in the method '{Text}' is not known: give {expected}.");
}

/// <summary>Methods that are written alike.</summary>
/// <param name="Kinds">First words that belong to it.</param>
/// <param name="Usage">How they are written, for messages.</param>
/// <param name="Read">Makes a method; throws <see cref="FormatException"/> where a word cannot be read.</param>
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

    /// <param name="text">As a plan writes it.</param>
    /// <param name="resNet18">Where the plan says that ML.NET's ResNet-18 lies; null: it does not.</param>
    /// <exception cref="FormatException">The text is no method; the message says what can be given.</exception>
    public static IStudyMethod Parse(string text, string? resNet18 = null)
    {
        var method = new MethodText(text) { ResNet18 = resNet18 };
        MethodFamily family = Families.FirstOrDefault(family => family.Kinds.Contains(method.Kind))
            ?? throw method.Unknown(method.Kind, string.Join("; ", Families.Select(known => known.Usage)));
        return family.Read(method);
    }
}
