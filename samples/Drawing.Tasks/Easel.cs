using System.Runtime.InteropServices;
using SkiaSharp;

namespace Drawing.Tasks;

/// <summary>A bitmap being painted, with the source of randomness; owns every path and shader created for it.</summary>
internal sealed class Easel : IDisposable
{
    /// <summary>Width and height in the easel's units, independent of the bitmap's size.</summary>
    public const float Side = 100;

    private readonly SKBitmap _bitmap;
    private readonly Stack<IDisposable> _owned = [];

    public Easel(SKBitmap bitmap, Random random)
    {
        _bitmap = bitmap;
        Dice = random;
        Canvas = new SKCanvas(bitmap);
        Canvas.Scale(bitmap.Width / Side);
    }

    public SKCanvas Canvas { get; }

    public Random Dice { get; }

    /// <summary>Transfers ownership of a native object to the easel, which disposes it.</summary>
    public T Keep<T>(T disposable)
        where T : IDisposable
    {
        _owned.Push(disposable);
        return disposable;
    }

    public float Between(float low, float high) => low + (high - low) * Dice.NextSingle();

    public bool Chance(double probability) => Dice.NextDouble() < probability;

    public T Pick<T>(params ReadOnlySpan<T> choices) => choices[Dice.Next(choices.Length)];

    /// <summary>Creates a named outline with centre (x, y) and about the given radius, rotated by an angle in degrees.</summary>
    public SKPath Shape(string name, float x, float y, float radius, float angle = 0) =>
        Place(Keep(Shapes.Named(name)), x, y, radius, angle);

    /// <summary>Transforms a path around the origin in place: scaled, rotated by an angle in degrees, then translated.</summary>
    public static SKPath Place(SKPath path, float x, float y, float scale, float angle = 0)
    {
        path.Transform(
            SKMatrix.CreateTranslation(x, y).PreConcat(SKMatrix.CreateRotationDegrees(angle)).PreConcat(SKMatrix.CreateScale(scale, scale))
        );
        return path;
    }

    public SKPath Circle(float x, float y, float radius) => Oval(x, y, radius, radius);

    public SKPath Oval(float x, float y, float radiusX, float radiusY)
    {
        SKPath path = Keep(new SKPath());
        path.AddOval(new SKRect(x - radiusX, y - radiusY, x + radiusX, y + radiusY));
        return path;
    }

    public SKPath Box(float left, float top, float right, float bottom)
    {
        SKPath path = Keep(new SKPath());
        path.AddRect(new SKRect(left, top, right, bottom));
        return path;
    }

    /// <summary>Creates a closed polygon or an open line.</summary>
    public SKPath Line(bool close, params ReadOnlySpan<(float X, float Y)> points)
    {
        SKPath path = Keep(new SKPath());
        path.MoveTo(points[0].X, points[0].Y);
        foreach (var (x, y) in points[1..])
            path.LineTo(x, y);
        if (close)
            path.Close();
        return path;
    }

    /// <summary>Creates a path from SVG path data.</summary>
    public SKPath Svg(string data) => Keep(SKPath.ParseSvgPathData(data));

    /// <summary>Returns the path as if drawn by an unsteady hand.</summary>
    public SKPath Wobble(SKPath path, float amount) => Keep(HandDrawn.Wobble(path, amount, Dice));

    public void Cover(SKColor colour) => Canvas.Clear(colour);

    public void Fill(SKPath path, SKColor colour)
    {
        using var paint = new SKPaint { Color = colour, IsAntialias = true };
        Canvas.DrawPath(path, paint);
    }

    public void Fill(SKPath path, SKShader shader, SKBlendMode mode = SKBlendMode.SrcOver)
    {
        using var paint = new SKPaint
        {
            Shader = shader,
            IsAntialias = true,
            BlendMode = mode,
        };
        Canvas.DrawPath(path, paint);
    }

    public void Stroke(SKPath path, SKColor colour, float width)
    {
        using var paint = new SKPaint
        {
            Color = colour,
            IsAntialias = true,
            IsStroke = true,
            StrokeWidth = width,
            StrokeCap = SKStrokeCap.Round,
            StrokeJoin = SKStrokeJoin.Round,
        };
        Canvas.DrawPath(path, paint);
    }

    /// <summary>Creates a linear gradient between two points.</summary>
    public SKShader Gradient(float x0, float y0, float x1, float y1, params SKColor[] colours) =>
        Keep(SKShader.CreateLinearGradient(new SKPoint(x0, y0), new SKPoint(x1, y1), colours, SKShaderTileMode.Clamp));

    /// <summary>Creates a radial gradient around a point.</summary>
    public SKShader Glow(float x, float y, float radius, params SKColor[] colours) =>
        Keep(SKShader.CreateRadialGradient(new SKPoint(x, y), radius, colours, SKShaderTileMode.Clamp));

    /// <summary>Paints into a separate layer, which is then blurred by <paramref name="sigma"/> units.</summary>
    public void Blurred(float sigma, Action paintLayer)
    {
        using SKImageFilter blur = SKImageFilter.CreateBlur(sigma, sigma, SKShaderTileMode.Clamp);
        using var paint = new SKPaint { ImageFilter = blur };
        Canvas.SaveLayer(paint);
        paintLayer();
        Canvas.Restore();
    }

    /// <summary>Paints only inside a path.</summary>
    public void Within(SKPath path, Action paintInside)
    {
        Canvas.Save();
        Canvas.ClipPath(path, SKClipOperation.Intersect, antialias: true);
        paintInside();
        Canvas.Restore();
    }

    /// <summary>Overlays the image with cloudy grey noise, like the structure of paper or cloth.</summary>
    /// <param name="frequency">Periods per unit; 0.02 looks like clouds, 0.5 like paper.</param>
    /// <param name="strength">Strength of the noise, 0 to 1.</param>
    public void Roughen(float frequency, float strength)
    {
        SKShader noise = Keep(SKShader.CreatePerlinNoiseFractalNoise(frequency, frequency, 3, Dice.Next(1, 10_000)));
        // One channel of the noise as grey, with more contrast, at a constant opacity.
        SKColorFilter grey = Keep(
            SKColorFilter.CreateColorMatrix([2.5f, 0, 0, 0, -0.75f, 2.5f, 0, 0, 0, -0.75f, 2.5f, 0, 0, 0, -0.75f, 0, 0, 0, 0, strength])
        );
        using var paint = new SKPaint
        {
            Shader = noise,
            ColorFilter = grey,
            BlendMode = SKBlendMode.Overlay,
        };
        Canvas.DrawRect(-Side, -Side, 3 * Side, 3 * Side, paint);
    }

    /// <summary>Adds independent noise to every pixel: noise shared by the channels, and a third as much for each channel alone.</summary>
    /// <param name="deviation">Standard deviation of the shared noise, in levels of 0 to 255.</param>
    public void Grain(float deviation)
    {
        Canvas.Flush();
        byte[] pixels = _bitmap.Bytes;
        for (int pixel = 0; pixel < pixels.Length; pixel += 4)
        {
            float shared = Gauss() * deviation;
            for (int channel = 0; channel < 3; channel++)
                pixels[pixel + channel] = (byte)Math.Clamp(pixels[pixel + channel] + shared + Gauss() * deviation / 3, 0, 255);
        }
        Marshal.Copy(pixels, 0, _bitmap.GetPixels(), pixels.Length);
        _bitmap.NotifyPixelsChanged();
    }

    // The sum of four uniform numbers is approximately normal, without extreme values.
    private float Gauss()
    {
        float sum = -2;
        for (int i = 0; i < 4; i++)
            sum += Dice.NextSingle();
        return sum * 1.732f;
    }

    public void Dispose()
    {
        while (_owned.TryPop(out IDisposable? owned))
            owned.Dispose();
        Canvas.Dispose();
    }
}
