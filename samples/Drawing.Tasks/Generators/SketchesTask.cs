using SkiaSharp;

namespace Drawing.Tasks.Generators;

/// <summary>Outlines in pencil, retraced two or three times.</summary>
internal sealed class SketchesTask : DrawnTask
{
    public override string Name => "sketches";

    public override string Description => "Shapes sketched in pencil on paper, some hatched, with stray lines.";

    public override string Template => "a pencil sketch of a {}.";

    public override IReadOnlyList<string> ClassNames { get; } = Shapes.Names;

    private protected override void Paint(Easel easel, string className)
    {
        easel.Cover(easel.Near(new SKColor(240, 236, 224), 14));
        easel.Roughen(0.02f, 0.35f);

        SKColor pencil = easel.Pick(new SKColor(60, 60, 66), new SKColor(90, 84, 80), new SKColor(70, 76, 110), new SKColor(120, 70, 56));
        for (int stray = easel.Dice.Next(0, 4); stray > 0; stray--)
            easel.Stroke(
                easel.Wobble(
                    easel.Line(false, (easel.Between(0, 100), easel.Between(0, 100)), (easel.Between(0, 100), easel.Between(0, 100))),
                    3
                ),
                pencil.WithAlpha(70),
                0.8f
            );

        float radius = easel.Between(24, 40),
            x = 50 + easel.Between(-9, 9),
            y = 50 + easel.Between(-9, 9);
        SKPath outline = easel.Shape(className, x, y, radius, easel.Between(-18, 18));
        if (easel.Chance(0.45))
            easel.Within(outline, () => Hatch(easel, outline.Bounds, pencil));
        for (int times = easel.Dice.Next(2, 4); times > 0; times--)
            easel.Stroke(
                easel.Wobble(outline, easel.Between(1, 2.6f)),
                pencil.WithAlpha((byte)easel.Dice.Next(120, 230)),
                easel.Between(0.9f, 1.8f)
            );

        easel.Roughen(0.5f, 0.45f);
        easel.Grain(6);
    }

    private static void Hatch(Easel easel, SKRect bounds, SKColor pencil)
    {
        float slope = easel.Between(0.6f, 1.4f) * (easel.Chance(0.5) ? 1 : -1),
            reach = Math.Abs(slope) * bounds.Height;
        for (float x = bounds.Left - reach; x < bounds.Right + reach; x += easel.Between(3, 5.5f))
            easel.Stroke(
                easel.Wobble(easel.Line(false, (x, bounds.Bottom), (x + slope * bounds.Height, bounds.Top)), 1),
                pencil.WithAlpha(130),
                0.9f
            );
    }
}
