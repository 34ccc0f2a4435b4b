using SkiaSharp;

namespace Drawing.Tasks.Generators;

/// <summary>Kinds of star that differ only in details.</summary>
internal sealed class VariantsTask : DrawnTask
{
    public override string Name => "variants";

    public override string Description =>
        "Kinds of metal star on felt that differ in a detail: the number of points, their width, a hole, a ring.";

    public override string Template => "a photo of a {}, a kind of star.";

    public override IReadOnlyList<string> ClassNames { get; } =
    [
        "four-pointed star",
        "five-pointed star",
        "six-pointed star",
        "eight-pointed star",
        "thin star",
        "round star",
        "hollow star",
        "ringed star",
    ];

    private protected override void Paint(Easel easel, string className)
    {
        SKColor felt = easel.Chance(0.5) ? easel.Dark() : easel.Vivid().Darker(0.2f);
        easel.Cover(felt);
        easel.Roughen(0.35f, 0.45f);

        float x = 50 + easel.Between(-10, 10),
            y = 50 + easel.Between(-10, 10),
            radius = easel.Between(27, 40);
        SKColor metal = easel.Near(
            easel.Pick(new SKColor(222, 186, 80), new SKColor(190, 196, 204), new SKColor(200, 124, 76), new SKColor(150, 200, 190)),
            15
        );
        SKPath outline = Easel.Place(easel.Keep(Unplaced(easel, className)), x, y, radius, easel.Between(0, 360));
        SKPath star = easel.Wobble(outline, 0.8f);

        SKPath shadow = easel.Keep(new SKPath(star));
        shadow.Offset(easel.Between(-4, 4), 4);
        easel.Blurred(2, () => easel.Fill(shadow, SKColors.Black.WithAlpha(150)));
        float light = easel.Between(0, MathF.Tau),
            lightX = MathF.Cos(light) * radius,
            lightY = MathF.Sin(light) * radius;
        easel.Fill(
            star,
            easel.Gradient(
                x - lightX,
                y - lightY,
                x + lightX,
                y + lightY,
                metal.Darker(0.45f),
                metal,
                metal.Lighter(0.55f),
                metal.Darker(0.1f)
            )
        );
        easel.Stroke(star, metal.Darker(0.6f), 1.2f);
        easel.Grain(6);
    }

    /// <summary>Creates the outline of a variant around the origin.</summary>
    private static SKPath Unplaced(Easel easel, string variant)
    {
        float inner = easel.Between(0.4f, 0.47f);
        switch (variant)
        {
            case "four-pointed star":
                return Shapes.Star(4, inner);
            case "five-pointed star":
                return Shapes.Star(5, inner);
            case "six-pointed star":
                return Shapes.Star(6, inner + 0.08f);
            case "eight-pointed star":
                return Shapes.Star(8, inner + 0.15f);
            case "thin star":
                return Shapes.Star(5, easel.Between(0.14f, 0.2f));
            case "hollow star":
                return Shapes.Without(
                    Shapes.Star(5, inner + 0.04f),
                    Easel.Place(Shapes.Star(5, inner + 0.04f), 0, 0, easel.Between(0.46f, 0.56f))
                );
            case "round star":
                using (SKPath sharp = Easel.Place(Shapes.Star(5, inner + 0.06f), 0, 0, 100))
                using (SKPathEffect rounding = SKPathEffect.CreateCorner(40))
                using (var paint = new SKPaint { PathEffect = rounding })
                    return Easel.Place(paint.GetFillPath(sharp), 0, 0, 0.0125f);
            case "ringed star":
                using (SKPath star = Easel.Place(Shapes.Star(5, inner), 0, 0, 0.8f))
                using (
                    SKPath ring = Shapes.Without(
                        Easel.Place(Shapes.Named("circle"), 0, 0, 1.1f),
                        Easel.Place(Shapes.Named("circle"), 0, 0, 0.92f)
                    )
                )
                    return star.Op(ring, SKPathOp.Union);
            default:
                throw new ArgumentException($"There is no variant '{variant}'.", nameof(variant));
        }
    }
}
