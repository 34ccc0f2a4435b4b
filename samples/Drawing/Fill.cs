using SkiaSharp;

namespace Drawing;

/// <summary>Fills an outline with one of <see cref="Words.Textures"/>, in two tones of one colour.</summary>
internal static class Fill
{
    /// <param name="canvas">The canvas, in the outline's coordinates.</param>
    /// <param name="paint">A paint to use; its settings are changed.</param>
    /// <param name="outline">An outline within the unit circle or slightly beyond.</param>
    /// <param name="texture">Index into <see cref="Words.Textures"/>.</param>
    /// <param name="main">The object's colour.</param>
    /// <param name="second">The tone of the pattern.</param>
    /// <param name="random">Source of the pattern's position and width.</param>
    public static void Draw(
        SKCanvas canvas,
        SKPaint paint,
        SKPath outline,
        int texture,
        SKColor main,
        SKColor second,
        ref SceneRandom random
    )
    {
        (paint.Style, paint.Color, paint.Shader) = (SKPaintStyle.Fill, main, null);
        string name = Words.Textures[texture][0];
        if (name == "outlined")
        {
            (paint.Style, paint.StrokeWidth) = (SKPaintStyle.Stroke, random.Next(0.16f, 0.24f));
            canvas.DrawPath(outline, paint);
            return;
        }
        if (name == "shaded")
        {
            float side = random.Chance(0.5f) ? 1 : -1;
            using SKShader shader = SKShader.CreateLinearGradient(
                new SKPoint(-side, -1),
                new SKPoint(side, 1),
                [main, second],
                SKShaderTileMode.Clamp
            );
            paint.Shader = shader;
            canvas.DrawPath(outline, paint);
            paint.Shader = null;
            return;
        }

        canvas.DrawPath(outline, paint);
        if (name == "plain")
            return;
        canvas.Save();
        canvas.ClipPath(outline, antialias: true);
        paint.Color = second;
        float step = random.Next(0.4f, 0.52f),
            offset = random.Next(0f, step);
        switch (name)
        {
            case "striped":
                canvas.RotateDegrees(random.Next(0f, 180f));
                for (float y = -1.3f - offset; y < 1.3f; y += step)
                    canvas.DrawRect(-1.5f, y, 3f, step / 2, paint);
                break;
            case "dotted":
                for (float y = -1.2f - offset; y < 1.2f; y += step)
                for (float x = -1.2f - offset; x < 1.2f; x += step)
                    canvas.DrawCircle(x, y, 0.3f * step, paint);
                break;
            case "checked":
                for (int row = 0; row < 8; row++)
                for (int column = row % 2; column < 8; column += 2)
                    canvas.DrawRect(
                        -1.3f - offset + column * step * 0.9f,
                        -1.3f - offset + row * step * 0.9f,
                        step * 0.9f,
                        step * 0.9f,
                        paint
                    );
                break;
            case "crosshatched":
                for (float at = -1.2f - offset; at < 1.2f; at += step)
                {
                    canvas.DrawRect(-1.5f, at, 3f, 0.22f * step, paint);
                    canvas.DrawRect(at, -1.5f, 0.22f * step, 3f, paint);
                }
                break;
            case "zigzagged":
                (paint.Style, paint.StrokeWidth) = (SKPaintStyle.Stroke, 0.4f * step);
                for (float y = -1.3f - offset; y < 1.5f; y += 1.1f * step)
                for (int piece = 0; piece < 10; piece++)
                {
                    float x = -1.4f + 0.3f * piece,
                        rise = piece % 2 == 0 ? 0.3f : -0.3f;
                    canvas.DrawLine(x, y - rise / 2, x + 0.3f, y + rise / 2, paint);
                }
                break;
        }
        canvas.Restore();
    }
}
