using SkiaSharp;

namespace Drawing.Tasks;

/// <summary>Makes exact outlines look drawn by hand.</summary>
internal static class HandDrawn
{
    private const float Step = 1.5f;

    /// <summary>Creates a path that deviates from the given one by smooth random shifts; the caller disposes it.</summary>
    /// <param name="path">The path, in the easel's units.</param>
    /// <param name="amount">Approximate size of the deviation, in the same units.</param>
    /// <param name="random">The source of randomness.</param>
    public static SKPath Wobble(SKPath path, float amount, Random random)
    {
        // Shifts depend on the position, not on the distance along the path, so closed contours stay closed.
        var waves = new (float X, float Y, float Phase, float ShiftX, float ShiftY)[5];
        for (int i = 0; i < waves.Length; i++)
        {
            float period = 28 + 45 * random.NextSingle(),
                angle = MathF.Tau * random.NextSingle(),
                direction = MathF.Tau * random.NextSingle();
            waves[i] = (
                MathF.Cos(angle) * MathF.Tau / period,
                MathF.Sin(angle) * MathF.Tau / period,
                MathF.Tau * random.NextSingle(),
                MathF.Cos(direction) * amount * 0.6f,
                MathF.Sin(direction) * amount * 0.6f
            );
        }

        var wobbled = new SKPath { FillType = path.FillType };
        using var measure = new SKPathMeasure(path, forceClosed: false, resScale: 4);
        do
        {
            if (measure.Length <= 0)
                continue;
            int steps = Math.Max(8, (int)(measure.Length / Step));
            int count = measure.IsClosed ? steps : steps + 1;
            for (int i = 0; i < count; i++)
            {
                SKPoint point = measure.GetPosition(measure.Length * i / steps);
                float x = point.X,
                    y = point.Y;
                foreach (var wave in waves)
                {
                    float height = MathF.Sin(point.X * wave.X + point.Y * wave.Y + wave.Phase);
                    x += height * wave.ShiftX;
                    y += height * wave.ShiftY;
                }
                if (i == 0)
                    wobbled.MoveTo(x, y);
                else
                    wobbled.LineTo(x, y);
            }
            if (measure.IsClosed)
                wobbled.Close();
        } while (measure.NextContour());
        return wobbled;
    }
}
