using SkiaSharp;

namespace Drawing;

/// <summary>The outlines of <see cref="Words.Shapes"/> within the unit circle around the origin, with y pointing downwards. Built once and
/// read-only afterwards.</summary>
internal static class ShapeOutlines
{
    private static readonly Dictionary<string, Action<SKPath>> Builders = new()
    {
        ["circle"] = path => path.AddCircle(0, 0, 0.9f),
        ["square"] = path => path.AddRect(new SKRect(-0.75f, -0.75f, 0.75f, 0.75f)),
        ["triangle"] = path => Polygon(path, 3, 1f, -90),
        ["star"] = path => Star(path, 5, 1f, 0.42f),
        ["heart"] = Heart,
        ["diamond"] = path => Lines(path, 0, -1, 0.65f, 0, 0, 1, -0.65f, 0),
        ["pentagon"] = path => Polygon(path, 5, 0.95f, -90),
        ["hexagon"] = path => Polygon(path, 6, 0.95f, 0),
        ["cross"] = path =>
            Lines(
                path,
                -0.3f,
                -0.9f,
                0.3f,
                -0.9f,
                0.3f,
                -0.3f,
                0.9f,
                -0.3f,
                0.9f,
                0.3f,
                0.3f,
                0.3f,
                0.3f,
                0.9f,
                -0.3f,
                0.9f,
                -0.3f,
                0.3f,
                -0.9f,
                0.3f,
                -0.9f,
                -0.3f,
                -0.3f,
                -0.3f
            ),
        ["ring"] = Ring,
        ["crescent"] = Crescent,
        ["arrow"] = path => Lines(path, -0.95f, -0.28f, 0.15f, -0.28f, 0.15f, -0.75f, 1f, 0, 0.15f, 0.75f, 0.15f, 0.28f, -0.95f, 0.28f),
        ["oval"] = path => path.AddOval(new SKRect(-1f, -0.55f, 1f, 0.55f)),
        ["drop"] = Drop,
        ["flower"] = Flower,
        ["house"] = path =>
            Lines(
                path,
                0,
                -0.95f,
                0.95f,
                -0.1f,
                0.7f,
                -0.1f,
                0.7f,
                0.85f,
                0.22f,
                0.85f,
                0.22f,
                0.3f,
                -0.22f,
                0.3f,
                -0.22f,
                0.85f,
                -0.7f,
                0.85f,
                -0.7f,
                -0.1f,
                -0.95f,
                -0.1f
            ),
        ["tree"] = path =>
            Lines(
                path,
                0,
                -1,
                0.5f,
                -0.4f,
                0.28f,
                -0.4f,
                0.72f,
                0.15f,
                0.42f,
                0.15f,
                0.9f,
                0.65f,
                0.16f,
                0.65f,
                0.16f,
                1f,
                -0.16f,
                1f,
                -0.16f,
                0.65f,
                -0.9f,
                0.65f,
                -0.42f,
                0.15f,
                -0.72f,
                0.15f,
                -0.28f,
                -0.4f,
                -0.5f,
                -0.4f
            ),
        ["fish"] = Fish,
        ["cloud"] = Cloud,
        ["lightning bolt"] = path => Lines(path, 0.25f, -1, -0.6f, 0.15f, -0.08f, 0.15f, -0.3f, 1, 0.6f, -0.2f, 0.1f, -0.2f, 0.55f, -1),
        ["leaf"] = Leaf,
        ["mushroom"] = Mushroom,
        ["key"] = Key,
        ["boat"] = Boat,
    };

    private static readonly SKPath[] Paths = [.. Words.Shapes.Select(names => Build(names[0]))];

    /// <summary>Returns the outline of a shape. It is shared and must not be changed or disposed.</summary>
    public static SKPath Get(int shape) => Paths[shape];

    private static SKPath Build(string name)
    {
        var path = new SKPath();
        Builders[name](path);
        return path;
    }

    private static void Lines(SKPath path, params ReadOnlySpan<float> coordinates)
    {
        path.MoveTo(coordinates[0], coordinates[1]);
        for (int i = 2; i < coordinates.Length; i += 2)
            path.LineTo(coordinates[i], coordinates[i + 1]);
        path.Close();
    }

    private static void Polygon(SKPath path, int corners, float radius, float firstDegrees) =>
        Corners(path, corners, firstDegrees, _ => radius);

    private static void Star(SKPath path, int points, float outer, float inner) =>
        Corners(path, 2 * points, -90, i => i % 2 == 0 ? outer : inner);

    private static void Corners(SKPath path, int corners, float firstDegrees, Func<int, float> radius)
    {
        for (int i = 0; i < corners; i++)
        {
            var (sine, cosine) = MathF.SinCos((firstDegrees + 360f * i / corners) * MathF.PI / 180);
            if (i == 0)
                path.MoveTo(radius(i) * cosine, radius(i) * sine);
            else
                path.LineTo(radius(i) * cosine, radius(i) * sine);
        }
        path.Close();
    }

    private static void Heart(SKPath path)
    {
        path.MoveTo(0, 0.95f);
        path.CubicTo(-1.5f, -0.1f, -0.85f, -1.25f, 0, -0.45f);
        path.CubicTo(0.85f, -1.25f, 1.5f, -0.1f, 0, 0.95f);
        path.Close();
    }

    private static void Ring(SKPath path)
    {
        path.FillType = SKPathFillType.EvenOdd;
        path.AddCircle(0, 0, 0.95f);
        path.AddCircle(0, 0, 0.48f);
    }

    private static void Crescent(SKPath path)
    {
        path.MoveTo(0.35f, -0.9f);
        path.ArcTo(0.96f, 0.96f, 0, SKPathArcSize.Large, SKPathDirection.CounterClockwise, 0.35f, 0.9f);
        path.ArcTo(0.98f, 0.98f, 0, SKPathArcSize.Small, SKPathDirection.Clockwise, 0.35f, -0.9f);
        path.Close();
    }

    private static void Drop(SKPath path)
    {
        path.MoveTo(0, -1);
        path.CubicTo(0.15f, -0.5f, 0.65f, -0.1f, 0.65f, 0.35f);
        path.CubicTo(0.65f, 1.15f, -0.65f, 1.15f, -0.65f, 0.35f);
        path.CubicTo(-0.65f, -0.1f, -0.15f, -0.5f, 0, -1);
        path.Close();
    }

    private static void Flower(SKPath path)
    {
        for (int petal = 0; petal < 6; petal++)
        {
            var (sine, cosine) = MathF.SinCos(petal * MathF.PI / 3);
            path.AddCircle(0.6f * cosine, 0.6f * sine, 0.36f);
        }
        path.AddCircle(0, 0, 0.32f);
    }

    private static void Fish(SKPath path)
    {
        path.AddOval(new SKRect(-1f, -0.5f, 0.5f, 0.5f));
        Lines(path, 0.3f, 0, 1f, -0.55f, 0.85f, 0, 1f, 0.55f);
    }

    private static void Cloud(SKPath path)
    {
        path.AddCircle(-0.5f, 0.1f, 0.42f);
        path.AddCircle(0.05f, -0.22f, 0.5f);
        path.AddCircle(0.55f, 0.12f, 0.4f);
        path.AddRoundRect(new SKRect(-0.9f, 0.05f, 0.93f, 0.52f), 0.2f, 0.2f);
    }

    private static void Leaf(SKPath path)
    {
        path.MoveTo(-0.85f, 0.75f);
        path.CubicTo(-0.95f, -0.6f, 0.1f, -0.95f, 0.9f, -0.85f);
        path.CubicTo(1f, 0.05f, 0.5f, 0.95f, -0.65f, 0.6f);
        path.LineTo(-0.9f, 0.95f);
        path.LineTo(-1f, 0.85f);
        path.Close();
    }

    private static void Mushroom(SKPath path)
    {
        path.MoveTo(-0.95f, 0.05f);
        path.CubicTo(-0.9f, -1.2f, 0.9f, -1.2f, 0.95f, 0.05f);
        path.Close();
        path.AddRoundRect(new SKRect(-0.28f, 0.02f, 0.28f, 0.95f), 0.15f, 0.15f);
    }

    private static void Key(SKPath path)
    {
        path.FillType = SKPathFillType.EvenOdd;
        path.AddCircle(-0.55f, 0, 0.42f);
        path.AddCircle(-0.55f, 0, 0.18f);
        Lines(
            path,
            -0.13f,
            -0.13f,
            1f,
            -0.13f,
            1f,
            0.45f,
            0.8f,
            0.45f,
            0.8f,
            0.13f,
            0.6f,
            0.13f,
            0.6f,
            0.38f,
            0.4f,
            0.38f,
            0.4f,
            0.13f,
            -0.13f,
            0.13f
        );
    }

    private static void Boat(SKPath path)
    {
        Lines(path, -0.95f, 0.35f, 0.95f, 0.35f, 0.6f, 0.85f, -0.6f, 0.85f);
        Lines(path, -0.05f, -0.95f, -0.05f, 0.25f, -0.75f, 0.25f);
        Lines(path, 0.08f, -0.7f, 0.65f, 0.25f, 0.08f, 0.25f);
    }
}
