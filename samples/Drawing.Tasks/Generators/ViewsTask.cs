using SkiaSharp;

namespace Drawing.Tasks.Generators;

/// <summary>Shapes so close that the frame crops them, rotated and skewed.</summary>
internal sealed class ViewsTask : DrawnTask
{
    public override string Name => "views";

    public override string Description => "Shapes at any angle, slanted, and so near that the image's edge cuts them.";

    public override string Template => "a close view of a {}.";

    public override IReadOnlyList<string> ClassNames { get; } =
    ["circle", "square", "triangle", "star", "heart", "cross", "ring", "crescent"];

    private protected override void Paint(Easel easel, string className)
    {
        SKColor ground = easel.Vivid().Lighter(easel.Between(0, 0.6f));
        SKColor colour = easel.Chance(0.5) ? easel.Dark().Lighter(0.1f) : easel.Pale();
        easel.Cover(ground);
        easel.Fill(easel.Box(0, 0, 100, 100), easel.Gradient(0, 0, easel.Between(0, 100), 100, ground, ground.Darker(0.4f)));
        easel.Roughen(0.04f, 0.4f);

        easel.Canvas.Save();
        // The shape's centre stays within the image while one side extends beyond it.
        float away = easel.Between(0, MathF.Tau),
            distance = easel.Between(12, 22);
        easel.Canvas.Translate(50 + MathF.Cos(away) * distance, 50 + MathF.Sin(away) * distance);
        easel.Canvas.RotateDegrees(easel.Between(0, 360));
        easel.Canvas.Scale(1, easel.Between(0.75f, 1));
        easel.Canvas.Skew(easel.Between(-0.25f, 0.25f), 0);
        float radius = easel.Between(38, 50);
        SKPath shape = easel.Wobble(easel.Shape(className, 0, 0, radius, easel.Between(0, 360)), 1.2f);
        easel.Fill(shape, easel.Gradient(-radius, -radius, radius, radius, colour.Lighter(0.2f), colour.Darker(0.35f)));
        easel.Stroke(shape, colour.Darker(0.5f), 1.5f);
        easel.Canvas.Restore();

        easel.Roughen(0.15f, 0.3f);
        easel.Grain(8);
    }
}
