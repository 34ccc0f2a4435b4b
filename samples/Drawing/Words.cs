using SkiaSharp;

namespace Drawing;

/// <summary>Everything that can be drawn, each with the words for it, the most usual first. Indices into these lists are the attributes of
/// a <see cref="Scene"/>.</summary>
public static class Words
{
    /// <summary>Shapes and simple objects.</summary>
    public static IReadOnlyList<string[]> Shapes { get; } =
    [
        ["circle", "disc"],
        ["square"],
        ["triangle"],
        ["star"],
        ["heart"],
        ["diamond", "rhombus"],
        ["pentagon"],
        ["hexagon"],
        ["cross", "plus"],
        ["ring", "donut"],
        ["crescent", "moon"],
        ["arrow"],
        ["oval", "ellipse"],
        ["drop", "teardrop"],
        ["flower"],
        ["house"],
        ["tree"],
        ["fish"],
        ["cloud"],
        ["lightning bolt", "bolt"],
        ["leaf"],
        ["mushroom"],
        ["key"],
        ["boat", "ship"],
    ];

    /// <summary>Colours of objects and backgrounds.</summary>
    public static IReadOnlyList<string[]> Colours { get; } =
    [
        ["red"],
        ["orange"],
        ["yellow"],
        ["green"],
        ["blue"],
        ["purple", "violet"],
        ["pink"],
        ["brown"],
        ["black"],
        ["white"],
    ];

    /// <summary>How an object is filled.</summary>
    public static IReadOnlyList<string[]> Textures { get; } =
    [
        ["plain", "solid"],
        ["striped", "banded"],
        ["dotted", "spotted"],
        ["checked", "chequered"],
        ["shaded", "gradient"],
        ["outlined", "hollow"],
        ["crosshatched", "grid"],
        ["zigzagged", "wavy"],
    ];

    /// <summary>Sizes that captions name; the medium size has no word.</summary>
    public static IReadOnlyList<string[]> Sizes { get; } =
    [
        ["small", "little", "tiny"],
        [],
        ["large", "big"],
    ];

    /// <summary>Kinds of light that captions name; ordinary light has no word.</summary>
    public static IReadOnlyList<string[]> Lights { get; } =
    [
        ["dark"],
        [],
        ["bright"],
    ];

    /// <summary>sRGB values of <see cref="Colours"/>, before they are varied.</summary>
    internal static IReadOnlyList<SKColor> Paints { get; } =
    [
        new(214, 36, 36),
        new(244, 132, 20),
        new(245, 218, 40),
        new(40, 160, 60),
        new(40, 84, 214),
        new(130, 44, 170),
        new(246, 140, 190),
        new(122, 74, 34),
        new(22, 22, 24),
        new(244, 244, 242),
    ];

    /// <summary>The usual shade of a colour, sRGB from 0 to 255.</summary>
    /// <param name="colour">Index into <see cref="Colours"/>.</param>
    public static (byte Red, byte Green, byte Blue) Shade(int colour) => (Paints[colour].Red, Paints[colour].Green, Paints[colour].Blue);
}
