namespace Drawing;

/// <summary>A caption and the attributes that it mentions; attributes that it does not mention are <c>null</c>.</summary>
/// <param name="Text">The caption.</param>
/// <param name="Shape">Index into <see cref="Words.Shapes"/>.</param>
/// <param name="Colour">Index into <see cref="Words.Colours"/>.</param>
/// <param name="Texture">Index into <see cref="Words.Textures"/>.</param>
/// <param name="Size">Index into <see cref="Words.Sizes"/>.</param>
/// <param name="Background">Index into <see cref="Words.Colours"/>.</param>
/// <param name="Light">Index into <see cref="Words.Lights"/>.</param>
public sealed record Caption(string Text, int? Shape, int? Colour, int? Texture, int? Size, int? Background, int? Light)
{
    private static readonly string[] Beginnings =
    [
        "a photo of ",
        "a drawing of ",
        "a picture of ",
        "an image of ",
        "a rendering of ",
        "a sketch of ",
        "",
        "",
    ];
    private static readonly string[] NamesOfAnything = ["shape", "thing", "object", "texture"];

    /// <summary>Whether everything that the caption says is true of the scene.</summary>
    public bool IsTrueOf(Scene scene) =>
        (Shape ?? scene.Shape) == scene.Shape
        && (Colour ?? scene.Colour) == scene.Colour
        && (Texture ?? scene.Texture) == scene.Texture
        && (Size ?? scene.Size) == scene.Size
        && (Background ?? scene.Background) == scene.Background
        && (Light ?? scene.Light) == scene.Light;

    /// <summary>"a photo of a {size} {colour} {texture} {shape} on a {background} background.", with only the given attributes.</summary>
    public static string Plain(int? shape = null, int? colour = null, int? texture = null) =>
        "a photo of a "
        + $"{Join(Usual(Words.Colours, colour), Usual(Words.Textures, texture), Usual(Words.Shapes, shape) ?? NamesOfAnything[0])}.";

    /// <summary>Returns one text for every shape, colour or texture, differing only in its name: the answers to a question about an
    /// image.</summary>
    /// <param name="attribute">The attribute to ask about.</param>
    /// <param name="seed">The seed of the beginning and the synonyms.</param>
    /// <param name="index">Number of the question; equal seeds and numbers give equal texts.</param>
    public static IReadOnlyList<string> Question(Attribute attribute, int seed, long index)
    {
        var random = new SceneRandom(seed, index);
        string beginning = Beginnings[random.Next(Beginnings.Length)],
            anything = NamesOfAnything[random.Next(NamesOfAnything.Length)];
        IReadOnlyList<string[]> words = attribute switch
        {
            Attribute.Shape => Words.Shapes,
            Attribute.Colour => Words.Colours,
            _ => Words.Textures,
        };
        var texts = new string[words.Count];
        for (int i = 0; i < texts.Length; i++)
            texts[i] = $"{beginning}a {Join(Spoken(words, i, ref random), attribute == Attribute.Shape ? null : anything)}.";
        return texts;
    }

    internal static Caption Write(Scene scene, ref SceneRandom random)
    {
        bool named = random.Chance(0.85f);
        int? shape = named ? scene.Shape : null;
        int? colour = random.Chance(0.6f) ? scene.Colour : null;
        int? texture = random.Chance(0.55f) ? scene.Texture : null;
        int? size = scene.Size != 1 && random.Chance(0.3f) ? scene.Size : null;
        int? background = random.Chance(0.25f) ? scene.Background : null;
        int? light = scene.Light != 1 && random.Chance(0.5f) ? scene.Light : null;
        if (shape is null && colour is null && texture is null)
            texture = scene.Texture;

        string beginning = Beginnings[random.Next(Beginnings.Length)];
        if (light is int l && beginning.Length == 0)
            beginning = Beginnings[0];
        string noun = Spoken(Words.Shapes, shape, ref random) ?? NamesOfAnything[random.Next(NamesOfAnything.Length)];
        // Always "a", never "an", as in CLIP's templates, which do not depend on the class name.
        string thing =
            "a "
            + Join(
                Spoken(Words.Sizes, size, ref random),
                Spoken(Words.Colours, colour, ref random),
                Spoken(Words.Textures, texture, ref random),
                noun
            );
        string surroundings = Spoken(Words.Colours, background, ref random) is { } behind ? $" on a {behind} background" : "";
        string text = beginning + thing + surroundings + ".";
        if (Spoken(Words.Lights, light, ref random) is { } lit)
            text = $"a {lit} {text[(text.IndexOf(' ', StringComparison.Ordinal) + 1)..]}";
        return new Caption(text, shape, colour, texture, size, background, light);
    }

    private static string? Usual(IReadOnlyList<string[]> words, int? index) => index is int i ? words[i][0] : null;

    private static string? Spoken(IReadOnlyList<string[]> words, int? index, ref SceneRandom random)
    {
        if (index is not int i)
            return null;
        string[] names = words[i];
        return random.Chance(0.75f) ? names[0] : names[random.Next(names.Length)];
    }

    private static string Join(params ReadOnlySpan<string?> words) => string.Join(' ', words.ToArray().OfType<string>());
}

/// <summary>The attribute that a question is about.</summary>
public enum Attribute
{
    /// <summary>Index into <see cref="Words.Shapes"/>.</summary>
    Shape,

    /// <summary>Index into <see cref="Words.Colours"/>.</summary>
    Colour,

    /// <summary>Index into <see cref="Words.Textures"/>.</summary>
    Texture,
}
