using System.Globalization;
using SkiaSharp;

namespace Drawing.Tasks.Generators;

/// <summary>Land seen from above.</summary>
internal sealed class TilingsTask : DrawnTask
{
    public override string Name => "tilings";

    public override string Description => "Land as a satellite sees it, without an up or down, in hazy colours.";

    public override string Template => "a satellite picture of a {}.";

    public override IReadOnlyList<string> ClassNames { get; } = ["forest", "river", "road", "town", "farm", "lake", "desert", "vineyard"];

    private static readonly SKColor Water = new(48, 86, 120),
        Meadow = new(112, 134, 74),
        Wood = new(44, 76, 40),
        Sand = new(206, 178, 128),
        Soil = new(150, 116, 78),
        Tar = new(92, 92, 94);

    private protected override void Paint(Easel easel, string className)
    {
        easel.Cover(easel.Near(className == "desert" ? Sand : easel.Pick(Meadow, Meadow, Soil), 14));
        easel.Roughen(0.03f, 0.6f);
        easel.Canvas.Save();
        easel.Canvas.Translate(50, 50);
        easel.Canvas.RotateDegrees(easel.Between(0, 360));
        switch (className)
        {
            case "forest":
                Forest(easel);
                break;
            case "river":
                River(easel);
                break;
            case "road":
                Road(easel);
                break;
            case "town":
                Town(easel);
                break;
            case "farm":
                Farm(easel);
                break;
            case "lake":
                Lake(easel);
                break;
            case "desert":
                Desert(easel);
                break;
            case "vineyard":
                Vineyard(easel);
                break;
        }
        easel.Canvas.Restore();

        easel.Roughen(0.2f, 0.4f);
        // Seasons and sensors differ in colour, so colour alone must not give the class away.
        easel.Fill(
            easel.Box(0, 0, 100, 100),
            easel.Gradient(
                0,
                0,
                100,
                100,
                easel.Vivid().Lighter(easel.Between(0.35f, 0.8f)),
                easel.Vivid().Lighter(easel.Between(0.5f, 0.9f))
            ),
            SKBlendMode.Modulate
        );
        SKColor haze = easel.Near(new SKColor(200, 206, 214, 255), 25).WithAlpha((byte)easel.Dice.Next(10, 80));
        easel.Fill(easel.Box(0, 0, 100, 100), haze);
        easel.Grain(6);
    }

    private static void Tree(Easel easel, float x, float y, float radius)
    {
        SKColor crown = easel.Near(Wood, 18);
        easel.Fill(easel.Circle(x + 1, y + 1, radius), crown.Darker(0.6f));
        easel.Fill(easel.Circle(x, y, radius), easel.Glow(x - radius / 3, y - radius / 3, radius * 1.3f, crown.Lighter(0.25f), crown));
    }

    private static void Forest(Easel easel)
    {
        for (int i = 0; i < 620; i++)
            Tree(easel, easel.Between(-74, 74), easel.Between(-74, 74), easel.Between(2.5f, 5));
    }

    private static void River(Easel easel)
    {
        float bend = easel.Between(18, 38),
            width = easel.Between(9, 17),
            shift = easel.Between(-10, 10);
        SKPath course = easel.Wobble(
            easel.Svg(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"M-80,{shift} C-50,{shift - bend * 1.6f} -20,{shift - bend * 1.6f} 0,{shift} C20,{shift + bend * 1.6f} "
                        + $"50,{shift + bend * 1.6f} 80,{shift}"
                )
            ),
            5
        );
        easel.Stroke(course, Sand.Darker(0.15f), width + 4);
        easel.Stroke(course, easel.Near(Water, 14), width);
        for (int i = 0; i < 25; i++)
        {
            float x = easel.Between(-70, 70);
            Tree(easel, x, shift + (easel.Chance(0.5) ? 1 : -1) * easel.Between(bend + width, 70), easel.Between(2, 4));
        }
    }

    private static void Road(Easel easel)
    {
        float shift = easel.Between(-14, 14),
            width = easel.Between(8, 13);
        SKPath course = easel.Line(false, (-80, shift), (80, shift + easel.Between(-8, 8)));
        easel.Stroke(course, Tar.Lighter(0.35f), width + 3);
        easel.Stroke(course, easel.Near(Tar, 12), width);
        using SKPathEffect dashes = SKPathEffect.CreateDash([5, 5], 0);
        using var marking = new SKPaint
        {
            Color = SKColors.White,
            IsStroke = true,
            IsAntialias = true,
            StrokeWidth = 1.3f,
            PathEffect = dashes,
        };
        easel.Canvas.DrawPath(course, marking);
        for (int i = easel.Dice.Next(3, 8); i > 0; i--)
        {
            float x = easel.Between(-60, 60),
                y = shift + (easel.Chance(0.5) ? 1 : -1) * width * 0.26f;
            easel.Fill(easel.Box(x, y - 1.4f, x + 5, y + 1.4f), easel.Vivid());
        }
    }

    private static void Town(Easel easel)
    {
        float block = easel.Between(19, 25);
        easel.Fill(easel.Box(-80, -80, 80, 80), easel.Near(Tar.Lighter(0.3f), 10));
        for (int row = -4; row < 4; row++)
        for (int column = -4; column < 4; column++)
        {
            float left = column * block + 2.2f,
                top = row * block + 2.2f,
                room = block - 4.4f;
            easel.Fill(easel.Box(left, top, left + room, top + room), easel.Near(Meadow, 12));
            for (int house = 0; house < 4; house++)
            {
                float size = room * easel.Between(0.32f, 0.44f),
                    x = left + house % 2 * room / 2 + 0.6f,
                    y = top + house / 2 * room / 2 + 0.6f;
                SKColor roof = easel.Near(easel.Pick(new SKColor(176, 84, 62), new SKColor(206, 200, 190), new SKColor(120, 110, 112)), 16);
                easel.Fill(easel.Box(x + 1, y + 1, x + size + 1, y + size + 1), SKColors.Black.WithAlpha(120));
                easel.Fill(easel.Box(x, y, x + size, y + size), roof);
                easel.Fill(easel.Box(x, y, x + size, y + size / 2), roof.Darker(0.2f));
            }
        }
    }

    private static void Farm(Easel easel)
    {
        for (float y = -75; y < 75; )
        {
            float height = easel.Between(20, 34);
            for (float x = -75 - easel.Between(0, 15); x < 75; )
            {
                float width = easel.Between(22, 44);
                SKColor crop = easel.Near(
                    easel.Pick(
                        new SKColor(188, 176, 92),
                        new SKColor(120, 150, 66),
                        new SKColor(150, 112, 72),
                        new SKColor(86, 122, 62),
                        new SKColor(214, 200, 140)
                    ),
                    14
                );
                easel.Fill(easel.Box(x, y, x + width - 1.4f, y + height - 1.4f), crop);
                bool across = easel.Chance(0.5);
                for (float line = 2; line < (across ? height : width) - 2; line += 2.6f)
                    easel.Stroke(
                        across
                            ? easel.Line(false, (x + 1, y + line), (x + width - 3, y + line))
                            : easel.Line(false, (x + line, y + 1), (x + line, y + height - 3)),
                        crop.Darker(0.14f),
                        0.9f
                    );
                x += width;
            }
            y += height;
        }
    }

    private static void Lake(Easel easel)
    {
        SKPath shore = easel.Wobble(
            easel.Oval(easel.Between(-10, 10), easel.Between(-10, 10), easel.Between(24, 36), easel.Between(18, 30)),
            6
        );
        easel.Stroke(shore, Sand.Darker(0.1f), 5);
        easel.Fill(shore, easel.Glow(0, 0, 40, easel.Near(Water.Darker(0.35f), 10), easel.Near(Water, 10)));
        for (int i = 0; i < 90; i++)
        {
            float x = easel.Between(-72, 72),
                y = easel.Between(-72, 72);
            if (float.Hypot(x, y) > 48)
                Tree(easel, x, y, easel.Between(2, 4));
        }
    }

    private static void Desert(Easel easel)
    {
        float period = easel.Between(11, 19);
        for (float y = -80; y < 80; y += period)
        {
            SKPath crest = easel.Wobble(easel.Line(false, (-80, y), (80, y + easel.Between(-8, 8))), 5);
            easel.Blurred(1.6f, () => easel.Stroke(crest, Sand.Darker(0.4f).WithAlpha(150), period * 0.32f));
            crest.Offset(0, -period * 0.2f);
            easel.Stroke(crest, Sand.Lighter(0.5f).WithAlpha(150), 1.4f);
        }
    }

    private static void Vineyard(Easel easel)
    {
        easel.Fill(easel.Box(-80, -80, 80, 80), easel.Near(Soil.Lighter(0.15f), 14));
        float period = easel.Between(7, 11);
        for (float y = -75; y < 75; y += period)
        for (float x = -75; x < 75; x += period * 0.55f)
            Tree(easel, x + easel.Between(-0.8f, 0.8f), y + easel.Between(-0.6f, 0.6f), period * 0.24f);
    }
}
