using SkiaSharp;

namespace Drawing.Tasks.Generators;

/// <summary>Two paper cut-outs; the class is what they are and how they are arranged.</summary>
internal sealed class ScenesTask : DrawnTask
{
    public override string Name => "scenes";

    public override string Description => "Two paper cut-outs with shadows; which they are and how they lie is the class.";

    public override string Template => "a scene with a {}.";

    public override IReadOnlyList<string> ClassNames { get; } =
    [
        "circle inside a square",
        "square inside a circle",
        "star above a heart",
        "heart above a star",
        "triangle beside a ring",
        "cross above a crescent",
        "crescent above a cross",
        "heart beside a cross",
    ];

    private protected override void Paint(Easel easel, string className)
    {
        SKColor ground = easel.Chance(0.5) ? easel.Pale() : easel.Vivid().Darker(0.3f);
        easel.Cover(ground);
        for (int scrap = 0; scrap < 3; scrap++)
        {
            SKPath paper = easel.Wobble(
                Easel.Place(easel.Box(-30, -12, 30, 12), easel.Between(0, 100), easel.Between(0, 100), 1, easel.Between(0, 180)),
                4
            );
            easel.Fill(paper, easel.Near(ground, 35));
        }
        easel.Roughen(0.1f, 0.25f);

        string[] words = className.Split(' ');
        (string first, string relation, string second) = (words[0], words[1], words[^1]);
        float x = 50 + easel.Between(-10, 10),
            y = 50 + easel.Between(-10, 10),
            side = easel.Chance(0.5) ? 1 : -1;
        SKColor one = easel.Vivid(),
            other = easel.Near(easel.Vivid().Lighter(0.3f), 20);
        // Similar colours would hide the inner shape.
        if (Colours.Difference(one, other) < 160)
            other = one.Lighter(0.75f);
        switch (relation)
        {
            case "inside":
                Cut(easel, second, x, y, easel.Between(27, 38), other);
                Cut(easel, first, x + easel.Between(-4, 4), y + easel.Between(-4, 4), easel.Between(10, 15), one);
                break;
            case "above":
                Cut(easel, second, x + easel.Between(-16, 16), y + easel.Between(17, 22), easel.Between(12, 19), other);
                Cut(easel, first, x + easel.Between(-16, 16), y - easel.Between(17, 22), easel.Between(12, 19), one);
                break;
            default:
                Cut(easel, second, x + side * easel.Between(17, 22), y + easel.Between(-14, 14), easel.Between(12, 19), other);
                Cut(easel, first, x - side * easel.Between(17, 22), y + easel.Between(-14, 14), easel.Between(12, 19), one);
                break;
        }
        easel.Roughen(0.4f, 0.2f);
        easel.Grain(6);
    }

    private static void Cut(Easel easel, string shape, float x, float y, float radius, SKColor colour)
    {
        SKPath paper = easel.Wobble(easel.Shape(shape, x, y, radius, easel.Between(-25, 25)), 1.1f);
        SKPath shadow = easel.Keep(new SKPath(paper));
        shadow.Offset(2, 2.5f);
        easel.Blurred(1.5f, () => easel.Fill(shadow, SKColors.Black.WithAlpha(140)));
        easel.Fill(paper, easel.Near(colour, 8));
        easel.Stroke(paper, colour.Lighter(0.5f), 0.8f);
    }
}
