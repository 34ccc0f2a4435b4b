using SkiaSharp;

namespace Drawing.Tasks.Generators;

/// <summary>Textures that fill the image, at any angle and scale.</summary>
internal sealed class TexturesTask : DrawnTask
{
    public override string Name => "textures";

    public override string Description => "Surfaces without an object, at any angle, scale and colour, unevenly lit.";

    public override string Template => "{} texture.";

    public override IReadOnlyList<string> ClassNames { get; } =
    ["striped", "dotted", "chequered", "woven", "cracked", "bubbly", "wavy", "zigzagged", "grainy", "scaly"];

    private protected override void Paint(Easel easel, string className)
    {
        SKColor ground = easel.Chance(0.5) ? easel.Pale() : easel.Vivid().Lighter(0.25f);
        SKColor figure = easel.Chance(0.5) ? easel.Dark() : easel.Vivid().Darker(0.35f);
        if (Colours.Difference(ground, figure) < 260)
            figure = figure.Darker(0.65f);
        if (easel.Chance(0.35))
            (ground, figure) = (figure, ground);
        easel.Cover(ground);

        easel.Canvas.Save();
        easel.Canvas.Translate(50, 50);
        easel.Canvas.RotateDegrees(easel.Between(0, 360));
        float period = easel.Between(13, 21);
        switch (className)
        {
            case "striped":
                Stripes(easel, figure, period);
                break;
            case "dotted":
                Dots(easel, figure, period);
                break;
            case "chequered":
                Checks(easel, figure, period);
                break;
            case "woven":
                Weave(easel, ground, figure, period);
                break;
            case "cracked":
                Cracks(easel, figure, period * 1.4f);
                break;
            case "bubbly":
                Bubbles(easel, ground, period);
                break;
            case "wavy":
                Lines(easel, figure, period, smooth: true);
                break;
            case "zigzagged":
                Lines(easel, figure, period, smooth: false);
                break;
            case "grainy":
                Grains(easel, figure);
                break;
            case "scaly":
                Scales(easel, ground, figure, period);
                break;
        }
        easel.Canvas.Restore();

        easel.Fill(
            easel.Box(0, 0, 100, 100),
            easel.Gradient(
                easel.Between(0, 100),
                0,
                easel.Between(0, 100),
                100,
                SKColors.Black.WithAlpha(0),
                SKColors.Black.WithAlpha((byte)easel.Dice.Next(40, 130))
            )
        );
        easel.Roughen(0.15f, 0.3f);
        easel.Grain(6);
    }

    private static void Stripes(Easel easel, SKColor figure, float period)
    {
        for (float y = -75; y < 75; y += period)
            easel.Fill(easel.Wobble(easel.Box(-75, y, 75, y + period * easel.Between(0.4f, 0.6f)), 1), easel.Near(figure, 10));
    }

    private static void Dots(Easel easel, SKColor figure, float period)
    {
        for (float y = -75; y < 75; y += period)
        for (float x = -75; x < 75; x += period)
            easel.Fill(
                easel.Wobble(easel.Circle(x + easel.Between(-2, 2), y + easel.Between(-2, 2), period * easel.Between(0.24f, 0.34f)), 1),
                easel.Near(figure, 10)
            );
    }

    private static void Checks(Easel easel, SKColor figure, float period)
    {
        for (int row = -8; row < 8; row++)
        for (int column = -8; column < 8; column++)
            if ((row + column) % 2 == 0)
                easel.Fill(
                    easel.Wobble(easel.Box(column * period, row * period, (column + 1) * period, (row + 1) * period), 0.8f),
                    easel.Near(figure, 10)
                );
    }

    private static void Weave(Easel easel, SKColor ground, SKColor figure, float period)
    {
        SKColor gap = ground.Darker(0.7f);
        easel.Fill(easel.Box(-75, -75, 75, 75), gap);
        for (int row = -8; row < 8; row++)
        for (int column = -8; column < 8; column++)
        {
            bool across = (row + column) % 2 == 0;
            float x = column * period,
                y = row * period,
                margin = period * 0.14f,
                reach = period * 0.12f;
            SKPath strand = across
                ? easel.Box(x - reach, y + margin, x + period + reach, y + period - margin)
                : easel.Box(x + margin, y - reach, x + period - margin, y + period + reach);
            SKColor colour = easel.Near(across ? figure : ground, 12),
                ends = colour.Darker(0.55f);
            easel.Fill(
                strand,
                across
                    ? easel.Gradient(x - reach, 0, x + period + reach, 0, ends, colour.Lighter(0.2f), ends)
                    : easel.Gradient(0, y - reach, 0, y + period + reach, ends, colour.Lighter(0.2f), ends)
            );
        }
    }

    private static void Cracks(Easel easel, SKColor figure, float period)
    {
        var corners = new (float X, float Y)[16, 16];
        for (int row = 0; row < 16; row++)
        for (int column = 0; column < 16; column++)
            corners[row, column] = (
                (column - 8 + row % 2 * 0.5f + easel.Between(-0.36f, 0.36f)) * period,
                (row - 8 + easel.Between(-0.36f, 0.36f)) * period
            );
        for (int row = 0; row < 15; row++)
        for (int column = 0; column < 15; column++)
        {
            if (easel.Chance(0.8))
                Crack(corners[row, column], corners[row, column + 1]);
            if (easel.Chance(0.8))
                Crack(corners[row, column], corners[row + 1, column]);
        }

        void Crack((float X, float Y) from, (float X, float Y) to) =>
            easel.Stroke(easel.Wobble(easel.Line(false, from, to), 2), figure, easel.Between(1, 3.2f));
    }

    private static void Bubbles(Easel easel, SKColor ground, float period)
    {
        for (int i = 0; i < 90; i++)
        {
            float x = easel.Between(-72, 72),
                y = easel.Between(-72, 72),
                radius = period * easel.Between(0.3f, 0.95f);
            SKColor glass = easel.Near(ground.Lighter(0.15f), 25);
            easel.Fill(
                easel.Circle(x, y, radius),
                easel.Glow(x - radius * 0.35f, y - radius * 0.35f, radius * 1.4f, SKColors.White, glass, glass.Darker(0.6f))
            );
        }
    }

    private static void Lines(Easel easel, SKColor figure, float period, bool smooth)
    {
        float length = period * easel.Between(1.6f, 2.4f),
            height = period * easel.Between(0.32f, 0.5f),
            width = period * easel.Between(0.26f, 0.38f);
        for (float y = -80; y < 80; y += period)
        {
            SKPath line = easel.Keep(new SKPath());
            line.MoveTo(-80, y);
            for (float x = -80; x < 80; x += length)
            {
                if (smooth)
                {
                    line.CubicTo(x + length * 0.18f, y - height * 1.6f, x + length * 0.32f, y - height * 1.6f, x + length / 2, y);
                    line.CubicTo(x + length * 0.68f, y + height * 1.6f, x + length * 0.82f, y + height * 1.6f, x + length, y);
                }
                else
                {
                    line.LineTo(x + length / 2, y - height * 1.3f);
                    line.LineTo(x + length, y);
                }
            }
            if (smooth)
                easel.Stroke(easel.Wobble(line, 0.8f), easel.Near(figure, 10), width);
            else
                Sharp(easel, line, easel.Near(figure, 10), width);
        }
    }

    private static void Sharp(Easel easel, SKPath line, SKColor colour, float width)
    {
        using var paint = new SKPaint
        {
            Color = colour,
            IsAntialias = true,
            IsStroke = true,
            StrokeWidth = width,
            StrokeJoin = SKStrokeJoin.Miter,
        };
        easel.Canvas.DrawPath(line, paint);
    }

    private static void Grains(Easel easel, SKColor figure)
    {
        for (int i = 0; i < 1500; i++)
        {
            SKColor speck = easel.Near(figure, 70);
            easel.Fill(easel.Circle(easel.Between(-72, 72), easel.Between(-72, 72), easel.Between(0.6f, 1.6f)), speck);
        }
    }

    private static void Scales(Easel easel, SKColor ground, SKColor figure, float period)
    {
        for (int row = 8; row > -9; row--)
        for (int column = -9; column < 9; column++)
        {
            float x = (column + (row & 1) * 0.5f) * period,
                y = row * period * 0.5f,
                radius = period * 0.55f;
            SKColor scale = easel.Near(Colours.Mix(ground, figure, 0.2f).Lighter(0.15f), 14);
            SKPath disc = easel.Circle(x, y, radius);
            easel.Fill(disc, easel.Gradient(0, y - radius, 0, y + radius, scale.Darker(0.35f), scale.Lighter(0.25f)));
            easel.Stroke(disc, scale.Darker(0.75f), 1.4f);
        }
    }
}
