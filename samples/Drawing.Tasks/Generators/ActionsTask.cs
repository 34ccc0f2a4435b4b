using SkiaSharp;

namespace Drawing.Tasks.Generators;

/// <summary>Movements as arrows in felt pen on squared paper; no class depends on left or right.</summary>
internal sealed class ActionsTask : DrawnTask
{
    public override string Name => "actions";

    public override string Description => "Movements drawn as arrows in felt pen on squared paper.";

    public override string Template => "arrows showing something {}.";

    public override IReadOnlyList<string> ClassNames { get; } =
    ["rising", "falling", "spinning", "bouncing", "splitting", "meeting", "passing", "spreading", "gathering", "looping"];

    private protected override void Paint(Easel easel, string className)
    {
        easel.Cover(easel.Near(new SKColor(246, 244, 236), 9));
        float square = easel.Between(8, 13),
            start = easel.Between(0, 8);
        SKColor rule = easel.Pick(new SKColor(150, 180, 220, 150), new SKColor(170, 170, 170, 130), new SKColor(220, 160, 160, 130));
        for (float line = start; line < 100; line += square)
        {
            easel.Stroke(easel.Line(false, (0, line), (100, line)), rule, 0.7f);
            easel.Stroke(easel.Line(false, (line, 0), (line, 100)), rule, 0.7f);
        }

        SKColor ink = easel.Chance(0.5) ? easel.Vivid().Darker(0.2f) : easel.Dark();
        float width = easel.Between(3.2f, 5.5f);
        easel.Canvas.Save();
        easel.Canvas.Translate(50 + easel.Between(-6, 6), 50 + easel.Between(-6, 6));
        float scale = easel.Between(0.78f, 1.02f);
        easel.Canvas.Scale(easel.Chance(0.5) ? scale : -scale, scale);
        PaintAction(easel, className, (path, head) => Arrow(easel, path, ink, width, head));
        easel.Canvas.Restore();
        easel.Roughen(0.4f, 0.25f);
        easel.Grain(6);
    }

    /// <summary>Draws the lines of an action, with coordinates between -44 and 44, each with or without an arrowhead at its end.</summary>
    private static void PaintAction(Easel easel, string action, Action<SKPath, bool> draw)
    {
        float turn = easel.Between(0, 360);
        switch (action)
        {
            case "rising" or "falling":
                easel.Canvas.RotateDegrees((action == "rising" ? 0 : 180) + easel.Between(-24, 24));
                for (int arrow = 0, arrows = easel.Dice.Next(1, 4); arrow < arrows; arrow++)
                {
                    float x = (arrow - (arrows - 1) / 2f) * 24;
                    draw(easel.Line(false, (x, 38 - easel.Between(0, 8)), (x, -38 + easel.Between(0, 8))), true);
                }
                break;
            case "spinning":
                easel.Canvas.RotateDegrees(turn);
                draw(Arc(easel, 28, 0, easel.Between(270, 310)), true);
                break;
            case "bouncing":
                draw(easel.Svg("M-42,-14 Q-32,6 -27,26 Q-14,-48 2,26 Q13,-26 22,26 Q29,-6 40,4"), true);
                draw(easel.Line(false, (-44, 32), (44, 32)), false);
                break;
            case "splitting":
                easel.Canvas.RotateDegrees(turn);
                draw(easel.Line(false, (-40, 0), (-4, 0)), false);
                draw(easel.Svg("M-6,0 C6,0 10,-26 36,-27"), true);
                draw(easel.Svg("M-6,0 C6,0 10,26 36,27"), true);
                break;
            case "meeting":
                easel.Canvas.RotateDegrees(turn);
                draw(easel.Line(false, (-44, 0), (-6, 0)), true);
                draw(easel.Line(false, (44, 0), (6, 0)), true);
                break;
            case "passing":
                easel.Canvas.RotateDegrees(turn);
                draw(easel.Line(false, (-38, -11), (36, -11)), true);
                draw(easel.Line(false, (38, 11), (-36, 11)), true);
                break;
            case "spreading" or "gathering":
                easel.Canvas.RotateDegrees(turn);
                for (int arrow = 0, arrows = easel.Dice.Next(4, 6); arrow < arrows; arrow++)
                {
                    (float sine, float cosine) = MathF.SinCos(MathF.Tau * arrow / arrows);
                    (float X, float Y) near = (cosine * 12, sine * 12),
                        far = (cosine * 42, sine * 42);
                    draw(action == "spreading" ? easel.Line(false, near, far) : easel.Line(false, far, near), true);
                }
                break;
            case "looping":
                easel.Canvas.RotateDegrees(easel.Between(-25, 25));
                draw(easel.Svg("M-42,22 C-6,24 26,8 22,-16 C18,-38 -18,-38 -20,-14 C-22,8 10,24 42,20"), true);
                break;
        }
    }

    private static SKPath Arc(Easel easel, float radius, float start, float sweep)
    {
        SKPath path = easel.Keep(new SKPath());
        path.AddArc(new SKRect(-radius, -radius, radius, radius), start, sweep);
        return path;
    }

    private static void Arrow(Easel easel, SKPath path, SKColor ink, float width, bool head)
    {
        SKPath line = easel.Wobble(path, 1.2f);
        easel.Stroke(line, ink, width);
        if (!head)
            return;
        using var measure = new SKPathMeasure(line);
        SKPoint tip = measure.GetPosition(measure.Length),
            before = measure.GetPosition(measure.Length - 6);
        float angle = MathF.Atan2(tip.Y - before.Y, tip.X - before.X) * 180 / MathF.PI,
            size = 5 + width * 1.5f;
        easel.Fill(Easel.Place(easel.Line(true, (0.75f, 0), (-0.6f, -0.75f), (-0.6f, 0.75f)), tip.X, tip.Y, size, angle), ink);
    }
}
