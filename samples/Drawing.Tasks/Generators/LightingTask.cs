using SkiaSharp;

namespace Drawing.Tasks.Generators;

/// <summary>Colours of objects under a coloured lamp; a white card shows the colour of the light.</summary>
internal sealed class LightingTask : DrawnTask
{
    public override string Name => "lighting";

    public override string Description => "Things of eight colours under coloured, uneven light, beside a white card.";

    public override string Template => "a photo of a {} thing in coloured light.";

    public override IReadOnlyList<string> ClassNames { get; } = ["red", "orange", "yellow", "green", "blue", "purple", "white", "black"];

    private protected override void Paint(Easel easel, string className)
    {
        byte table = (byte)easel.Dice.Next(105, 150);
        easel.Cover(new SKColor(table, table, table));
        easel.Fill(easel.Box(0, 0, 100, easel.Between(20, 40)), new SKColor(table, table, table).Darker(0.3f));
        easel.Roughen(0.08f, 0.3f);

        float side = easel.Chance(0.5) ? 1 : -1;
        float cardX = 50 + side * easel.Between(30, 36),
            cardY = easel.Between(68, 78);
        easel.Fill(Easel.Place(easel.Box(-12, -9, 12, 9), cardX, cardY, 1, easel.Between(-30, 30)), new SKColor(248, 248, 248));

        SKColor colour = easel.Near(Colours.Named(className), 16);
        float x = 50 - side * easel.Between(4, 14),
            y = 50 + easel.Between(-8, 8),
            radius = easel.Between(24, 31);
        easel.Blurred(3, () => easel.Fill(easel.Oval(x, y + radius * 0.9f, radius, radius * 0.3f), SKColors.Black.WithAlpha(120)));
        SKPath thing = easel.Wobble(easel.Shape(easel.Pick<string>(Shapes.Names), x, y, radius, easel.Between(-30, 30)), 1);
        easel.Fill(
            thing,
            easel.Glow(x - radius * 0.4f, y - radius * 0.5f, radius * 1.9f, colour.Lighter(0.25f), colour, colour.Darker(0.6f))
        );

        Shine(easel);
        easel.Grain(7);
    }

    private static void Shine(Easel easel)
    {
        SKColor lamp = easel.Pick(
            new SKColor(255, 176, 96),
            new SKColor(120, 176, 255),
            new SKColor(150, 255, 160),
            new SKColor(255, 140, 220),
            new SKColor(255, 240, 130),
            new SKColor(110, 240, 240)
        );
        lamp = Colours.Mix(lamp, SKColors.White, easel.Between(0.15f, 0.5f));
        // The light multiplies the colours of the surfaces, and falls off across the image.
        SKShader light = easel.Glow(
            easel.Between(0, 100),
            easel.Between(-10, 40),
            easel.Between(90, 140),
            lamp,
            lamp.Darker(easel.Between(0.3f, 0.55f))
        );
        easel.Fill(easel.Box(0, 0, 100, 100), light, SKBlendMode.Modulate);
    }
}
