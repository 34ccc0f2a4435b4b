using SkiaSharp;

namespace Drawing.Tasks;

/// <summary>Outlines around the origin that fit into the unit circle.</summary>
internal static class Shapes
{
    /// <summary>All names that <see cref="Named"/> accepts.</summary>
    public static readonly string[] Names =
    [
        "circle",
        "square",
        "triangle",
        "star",
        "heart",
        "cross",
        "ring",
        "arrow",
        "crescent",
        "hexagon",
    ];

    /// <summary>Creates a path, which the caller disposes.</summary>
    /// <exception cref="ArgumentException">There is no such shape.</exception>
    public static SKPath Named(string name) =>
        name switch
        {
            "circle" => Disc(1),
            "square" => Polygon(4, 45),
            "triangle" => Polygon(3, -90),
            "hexagon" => Polygon(6, 0),
            "star" => Star(5, 0.42f),
            "heart" => SKPath.ParseSvgPathData(
                "M0,0.95 C-0.45,0.55 -1,0.15 -1,-0.35 C-1,-0.75 -0.7,-0.9 -0.48,-0.9 C-0.25,-0.9 -0.08,-0.75 0,-0.5 C0.08,-0.75 "
                    + "0.25,-0.9 0.48,-0.9 C0.7,-0.9 1,-0.75 1,-0.35 C1,0.15 0.45,0.55 0,0.95 Z"
            ),
            "cross" => SKPath.ParseSvgPathData("M-0.3,-0.95 H0.3 V-0.3 H0.95 V0.3 H0.3 V0.95 H-0.3 V0.3 H-0.95 V-0.3 H-0.3 Z"),
            "ring" => Without(Disc(1), Disc(0.58f)),
            "arrow" => SKPath.ParseSvgPathData("M-1,-0.24 H0.1 V-0.7 L1,0 L0.1,0.7 V0.24 H-1 Z"),
            "crescent" => Crescent(),
            _ => throw new ArgumentException($"There is no shape '{name}'.", nameof(name)),
        };

    /// <summary>Creates the outline of a star with one point upwards.</summary>
    /// <param name="points">Number of points.</param>
    /// <param name="inner">Radius of the inner corners.</param>
    public static SKPath Star(int points, float inner)
    {
        var path = new SKPath();
        for (int corner = 0; corner < 2 * points; corner++)
        {
            (double sine, double cosine) = Math.SinCos(Math.PI * corner / points);
            float radius = corner % 2 == 0 ? 1 : inner;
            var point = new SKPoint(radius * (float)sine, -radius * (float)cosine);
            if (corner == 0)
                path.MoveTo(point);
            else
                path.LineTo(point);
        }
        path.Close();
        return path;
    }

    /// <summary>Returns the first path minus the second, and disposes both.</summary>
    public static SKPath Without(SKPath whole, SKPath hole)
    {
        using (whole)
        using (hole)
            return whole.Op(hole, SKPathOp.Difference);
    }

    private static SKPath Disc(float radius)
    {
        var path = new SKPath();
        path.AddCircle(0, 0, radius);
        return path;
    }

    private static SKPath Crescent()
    {
        SKPath hole = Disc(0.8f);
        hole.Offset(0.45f, 0);
        return Without(Disc(1), hole);
    }

    private static SKPath Polygon(int corners, double startDegrees)
    {
        var path = new SKPath();
        path.AddPoly([
            .. Enumerable
                .Range(0, corners)
                .Select(corner =>
                {
                    (double sine, double cosine) = Math.SinCos(double.DegreesToRadians(startDegrees) + 2 * Math.PI * corner / corners);
                    return new SKPoint((float)cosine, (float)sine);
                }),
        ]);
        return path;
    }
}
