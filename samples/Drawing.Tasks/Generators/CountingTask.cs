using SkiaSharp;

namespace Drawing.Tasks.Generators;

/// <summary>One to six shapes of the same kind in chalk on a blackboard.</summary>
internal sealed class CountingTask : DrawnTask
{
    public override string Name => "counting";

    public override string Description => "One to six equal shapes, scattered, in chalk on a blackboard.";

    public override string Template => "a chalk drawing of {}.";

    public override IReadOnlyList<string> ClassNames { get; } =
    ["one shape", "two shapes", "three shapes", "four shapes", "five shapes", "six shapes"];

    private protected override void Paint(Easel easel, string className)
    {
        int count = 1 + ClassNames.ToList().IndexOf(className);
        easel.Cover(easel.Near(easel.Pick(new SKColor(34, 58, 50), new SKColor(44, 46, 52), new SKColor(30, 40, 66)), 10));
        easel.Roughen(0.03f, 0.5f);

        string kind = easel.Pick<string>(Shapes.Names);
        SKColor chalk = easel.Pick(SKColors.White, easel.Vivid().Lighter(0.6f), easel.Vivid().Lighter(0.45f));
        bool filled = easel.Chance(0.5);
        float largest = count switch
        {
            1 => 26,
            2 => 19,
            3 => 16,
            4 => 14.5f,
            5 => 13,
            _ => 12,
        };
        float radius = largest * easel.Between(0.7f, 1);
        foreach ((float x, float y) in Scattered(easel, count, radius))
        {
            SKPath shape = easel.Wobble(easel.Shape(kind, x, y, radius * easel.Between(0.85f, 1), easel.Between(-25, 25)), 1);
            if (filled)
                easel.Within(shape, () => Hatch(easel, shape.Bounds, chalk));
            easel.Stroke(shape, chalk.WithAlpha(235), filled ? 1.8f : 3);
        }
        easel.Roughen(0.6f, 0.3f);
        easel.Grain(8);
    }

    /// <summary>Draws random centres that are at least two radii and a gap apart; starts over if not all fit.</summary>
    private static List<(float X, float Y)> Scattered(Easel easel, int count, float radius)
    {
        float margin = radius + 4,
            distance = 2 * radius + 3;
        while (true)
        {
            var centres = new List<(float X, float Y)>();
            for (int dart = 0; dart < 60 && centres.Count < count; dart++)
            {
                float x = easel.Between(margin, Easel.Side - margin),
                    y = easel.Between(margin, Easel.Side - margin);
                if (centres.TrueForAll(other => float.Hypot(other.X - x, other.Y - y) > distance))
                    centres.Add((x, y));
            }
            if (centres.Count == count)
                return centres;
        }
    }

    private static void Hatch(Easel easel, SKRect bounds, SKColor chalk)
    {
        for (float x = bounds.Left - bounds.Height; x < bounds.Right; x += easel.Between(2, 3.2f))
            easel.Stroke(
                easel.Line(false, (x, bounds.Bottom), (x + bounds.Height, bounds.Top)),
                chalk.WithAlpha((byte)easel.Dice.Next(110, 220)),
                1.6f
            );
    }
}
