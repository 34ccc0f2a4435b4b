using SkiaSharp;

namespace Drawing;

/// <summary>Paints scenes as square images. Not thread-safe; use one instance per thread.</summary>
public sealed class ScenePainter : IDisposable
{
    private readonly int _side;
    private readonly SKBitmap _bitmap;
    private readonly SKCanvas _canvas;
    private readonly SKPaint _paint = new() { IsAntialias = true };

    /// <param name="side">Side of the images in pixels, at least 8.</param>
    public ScenePainter(int side)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(side, 8);
        _side = side;
        _bitmap = new SKBitmap(new SKImageInfo(side, side, SKColorType.Rgba8888, SKAlphaType.Opaque));
        _canvas = new SKCanvas(_bitmap);
    }

    /// <summary>Size of an image in bytes, three per pixel.</summary>
    public int Length => 3 * _side * _side;

    /// <summary>Paints a scene.</summary>
    /// <param name="scene">The scene to paint.</param>
    /// <param name="planes">Receives the red, green and blue planes [3 · side · side], row by row.</param>
    public void Paint(Scene scene, Span<byte> planes)
    {
        if (planes.Length != Length)
            throw new ArgumentException($"{Length} bytes are needed, not {planes.Length}.", nameof(planes));
        var random = new SceneRandom(scene.Variation, 0);
        PaintBackground(scene, ref random);

        SKColor main = Varied(Words.Paints[scene.Colour], ref random),
            second = SecondTone(main, ref random);
        _canvas.Save();
        _canvas.Translate(scene.CentreX * _side, scene.CentreY * _side);
        _canvas.RotateDegrees(scene.Rotation);
        float radius = scene.Radius * _side,
            stretch = MathF.Sqrt(scene.Stretch);
        _canvas.Scale(radius * stretch, radius / stretch);
        Fill.Draw(_canvas, _paint, ShapeOutlines.Get(scene.Shape), scene.Texture, main, second, ref random);
        _canvas.Restore();
        _canvas.Flush();
        Light(scene, planes, ref random);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _paint.Dispose();
        _canvas.Dispose();
        _bitmap.Dispose();
    }

    private void PaintBackground(Scene scene, ref SceneRandom random)
    {
        SKColor colour = Varied(Words.Paints[scene.Background], ref random);
        (_paint.Style, _paint.Color, _paint.Shader) = (SKPaintStyle.Fill, colour, null);
        if (scene.BackgroundKind == BackgroundKind.Gradient)
        {
            SKColor end = Mix(colour, random.Chance(0.5f) ? SKColors.White : SKColors.Black, random.Next(0.2f, 0.4f));
            var (sine, cosine) = MathF.SinCos(random.Next(0f, MathF.Tau));
            float half = _side / 2f;
            using SKShader shader = SKShader.CreateLinearGradient(
                new SKPoint(half - half * cosine, half - half * sine),
                new SKPoint(half + half * cosine, half + half * sine),
                [colour, end],
                SKShaderTileMode.Clamp
            );
            _paint.Shader = shader;
            _canvas.DrawPaint(_paint);
            _paint.Shader = null;
            return;
        }
        _canvas.Clear(colour);
        if (scene.BackgroundKind != BackgroundKind.Patches)
            return;
        for (int patch = 0; patch < 6; patch++)
        {
            _paint.Color = Mix(colour, random.Chance(0.5f) ? SKColors.White : SKColors.Black, random.Next(0.08f, 0.2f));
            _canvas.DrawOval(
                random.Next(0f, _side),
                random.Next(0f, _side),
                random.Next(0.1f, 0.3f) * _side,
                random.Next(0.1f, 0.3f) * _side,
                _paint
            );
        }
    }

    /// <summary>Applies light with a gradient across the image and noise, and converts interleaved pixels to planes.</summary>
    private void Light(Scene scene, Span<byte> planes, ref SceneRandom random)
    {
        float level = scene.Light switch
        {
            0 => random.Next(0.4f, 0.58f),
            1 => random.Next(0.85f, 1.05f),
            _ => 1f,
        };
        int lift = scene.Light == 2 ? (int)random.Next(45f, 70f) : 0;
        float right = random.Next(-0.15f, 0.15f) * level / _side,
            down = random.Next(-0.15f, 0.15f) * level / _side;
        int noise = scene.BackgroundKind == BackgroundKind.Noise ? 28 : 6,
            pixels = _side * _side;
        ReadOnlySpan<byte> source = _bitmap.GetPixelSpan();
        for (int y = 0, pixel = 0; y < _side; y++)
        {
            for (int x = 0; x < _side; x++, pixel++)
            {
                float factor = level + right * (x - _side / 2) + down * (y - _side / 2);
                // Each channel uses two bytes of one random number, whose sum has a triangular distribution.
                ulong bits = random.NextBits();
                for (int channel = 0; channel < 3; channel++, bits >>= 16)
                {
                    int grain = ((int)(bits & 255) + (int)((bits >> 8) & 255) - 255) * noise >> 8;
                    planes[channel * pixels + pixel] = (byte)Math.Clamp((int)(source[4 * pixel + channel] * factor) + lift + grain, 0, 255);
                }
            }
        }
    }

    private static SKColor Varied(SKColor colour, ref SceneRandom random)
    {
        float brightness = random.Next(0.85f, 1.1f);
        byte Channel(byte value, float shift) => (byte)Math.Clamp(value * brightness + shift, 0, 255);
        return new SKColor(
            Channel(colour.Red, random.Next(-14f, 14f)),
            Channel(colour.Green, random.Next(-14f, 14f)),
            Channel(colour.Blue, random.Next(-14f, 14f))
        );
    }

    /// <summary>Returns a lighter or darker tone that contrasts with the main one.</summary>
    private static SKColor SecondTone(SKColor main, ref SceneRandom random)
    {
        int sum = main.Red + main.Green + main.Blue;
        bool lighter = sum < 250 || (sum < 520 && random.Chance(0.5f));
        return Mix(main, lighter ? SKColors.White : SKColors.Black, random.Next(0.5f, 0.75f));
    }

    private static SKColor Mix(SKColor from, SKColor to, float share)
    {
        byte Channel(byte a, byte b) => (byte)(a + (b - a) * share);
        return new SKColor(Channel(from.Red, to.Red), Channel(from.Green, to.Green), Channel(from.Blue, to.Blue));
    }
}
