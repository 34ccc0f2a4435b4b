using SkiaSharp;

namespace Drawing.Tasks.Generators;

/// <summary>Everyday objects composed of a few parts.</summary>
internal sealed class ObjectsTask : DrawnTask
{
    public override string Name => "objects";

    public override string Description => "Everyday things of several parts, slightly turned, on a shaded wall.";

    public override string Template => "a picture of a {}.";

    public override IReadOnlyList<string> ClassNames { get; } =
    ["house", "tree", "fish", "umbrella", "mushroom", "boat", "cup", "flower", "kite", "lamp"];

    private protected override void Paint(Easel easel, string className)
    {
        SKColor wall = easel.Pale();
        easel.Cover(wall);
        easel.Fill(
            easel.Box(0, 0, 100, 100),
            easel.Gradient(easel.Between(0, 100), 0, easel.Between(0, 100), 100, wall, wall.Darker(easel.Between(0.15f, 0.4f)))
        );
        easel.Roughen(easel.Between(0.02f, 0.06f), 0.35f);

        easel.Canvas.Save();
        easel.Canvas.Translate(50 + easel.Between(-14, 14), 50 + easel.Between(-12, 12));
        easel.Canvas.RotateDegrees(easel.Between(-28, 28));
        float scale = easel.Between(0.5f, 0.9f);
        easel.Canvas.Scale(easel.Chance(0.5) ? scale : -scale, scale * easel.Between(0.9f, 1.1f));
        PaintThing(easel, className);
        easel.Canvas.Restore();

        easel.Roughen(0.3f, 0.25f);
        easel.Grain(5);
    }

    /// <summary>Paints an object from parts with coordinates between -50 and 50.</summary>
    private static void PaintThing(Easel easel, string thing)
    {
        SKColor main = easel.Vivid(),
            second = easel.Vivid();
        switch (thing)
        {
            case "house":
                Part(easel, easel.Box(-34, -8, 34, 42), main.Lighter(0.45f));
                Part(easel, easel.Line(true, (-44, -6), (0, -46), (44, -6)), second.Darker(0.25f));
                Part(easel, easel.Box(4, 14, 22, 42), second.Darker(0.5f));
                Part(easel, easel.Box(-26, 4, -8, 22), Colours.Named("yellow"));
                break;
            case "tree":
                Part(easel, easel.Line(true, (-8, 48), (-5, 0), (5, 0), (8, 48)), easel.Near(Colours.Named("brown"), 20));
                SKColor leaves = easel.Near(easel.Pick(Colours.Named("green"), new SKColor(96, 140, 40), new SKColor(190, 120, 30)), 25);
                foreach (var (x, y, radius) in new[] { (-18f, -6f, 20f), (18f, -6f, 20f), (0f, -24f, 25f) })
                    Part(easel, easel.Circle(x, y, radius), easel.Near(leaves, 12));
                break;
            case "fish":
                Part(easel, easel.Line(true, (20, 0), (47, -24), (40, 0), (47, 24)), second);
                Part(easel, easel.Svg("M-46,0 C-30,-34 12,-32 28,0 C12,32 -30,34 -46,0 Z"), main);
                Part(easel, easel.Line(true, (-8, -20), (10, -38), (12, -16)), second);
                Part(easel, easel.Circle(-28, -5, 5), SKColors.White);
                easel.Fill(easel.Circle(-28, -5, 2.5f), SKColors.Black);
                break;
            case "umbrella":
                easel.Stroke(easel.Svg("M0,-30 V34 C0,48 20,48 20,34"), easel.Dark(), 5);
                Part(easel, easel.Svg("M-46,4 C-42,-56 42,-56 46,4 Q34,-6 23,4 Q11,-6 0,4 Q-11,-6 -23,4 Q-34,-6 -46,4 Z"), main);
                easel.Fill(easel.Svg("M-12,2 C-10,-46 10,-46 12,2 Q6,-3 0,4 Q-6,-3 -12,2 Z"), second.WithAlpha(170));
                break;
            case "mushroom":
                Part(easel, easel.Svg("M-12,-4 C-8,20 -18,34 -16,46 H16 C18,34 8,20 12,-4 Z"), new SKColor(236, 224, 200));
                Part(easel, easel.Svg("M-44,2 C-42,-54 42,-54 44,2 C20,12 -20,12 -44,2 Z"), main);
                foreach (var (x, y, radius) in new[] { (-20f, -16f, 7f), (4f, -28f, 6f), (22f, -10f, 8f), (-2f, -6f, 5f) })
                    easel.Fill(easel.Circle(x, y, radius * easel.Between(0.7f, 1.1f)), SKColors.White);
                break;
            case "boat":
                easel.Stroke(easel.Line(false, (0, 18), (0, -46)), easel.Dark(), 4);
                Part(easel, easel.Line(true, (4, -44), (4, 12), (40, 12)), second.Lighter(0.6f));
                Part(easel, easel.Line(true, (-4, -34), (-4, 12), (-30, 12)), second.Lighter(0.4f));
                Part(easel, easel.Line(true, (-46, 18), (46, 18), (30, 40), (-30, 40)), main.Darker(0.15f));
                break;
            case "cup":
                easel.Stroke(easel.Svg("M24,-16 C56,-20 52,26 22,20"), main.Darker(0.2f), 8);
                Part(easel, easel.Svg("M-34,-28 H30 L24,34 C20,42 -24,42 -28,34 Z"), main);
                Part(easel, easel.Oval(-2, -28, 32, 9), main.Darker(0.5f));
                break;
            case "flower":
                easel.Stroke(easel.Svg("M0,0 C4,20 -4,34 0,50"), Colours.Named("green").Darker(0.2f), 5);
                Part(easel, easel.Svg("M0,34 C10,16 30,18 34,14 C32,34 14,40 0,34 Z"), Colours.Named("green"));
                for (int petal = 0, petals = easel.Dice.Next(5, 8); petal < petals; petal++)
                    Part(easel, Easel.Place(easel.Oval(0, -19, 9.5f, 14), 0, -14, 1, 360f * petal / petals), main);
                Part(easel, easel.Circle(0, -14, 9), Colours.Named("yellow").Darker(0.1f));
                break;
            case "kite":
                easel.Stroke(easel.Svg("M0,22 C-14,30 14,38 -4,50"), easel.Dark(), 2.5f);
                foreach (var (x, y) in new[] { (-3f, 30f), (3f, 40f) })
                    Part(easel, easel.Line(true, (x - 8, y - 5), (x + 8, y + 5), (x + 8, y - 5), (x - 8, y + 5)), second);
                Part(easel, easel.Line(true, (0, -48), (30, -16), (0, 24), (-30, -16)), main);
                easel.Fill(easel.Line(true, (0, -48), (30, -16), (0, -16)), second);
                easel.Fill(easel.Line(true, (0, 24), (-30, -16), (0, -16)), second);
                break;
            case "lamp":
                Part(easel, easel.Oval(0, 42, 24, 7), main.Darker(0.4f));
                easel.Stroke(easel.Line(false, (0, 40), (0, -4)), main.Darker(0.4f), 6);
                easel.Fill(easel.Circle(0, 2, 26), easel.Glow(0, 2, 26, new SKColor(255, 250, 170, 220), new SKColor(255, 250, 170, 0)));
                Part(easel, easel.Line(true, (-18, -44), (18, -44), (36, 0), (-36, 0)), second);
                break;
        }
    }

    /// <summary>Paints a part with a wobbly edge, an outline, and a gradient that gets darker towards the bottom.</summary>
    private static void Part(Easel easel, SKPath path, SKColor colour)
    {
        SKPath drawn = easel.Wobble(path, 1.4f);
        SKRect bounds = drawn.Bounds;
        easel.Fill(
            drawn,
            easel.Gradient(
                bounds.Left,
                bounds.Top,
                bounds.Left + bounds.Width / 3,
                bounds.Bottom,
                colour.Lighter(0.2f),
                colour.Darker(0.25f)
            )
        );
        easel.Stroke(drawn, colour.Darker(0.65f), 1.6f);
    }
}
