namespace Drawing;

/// <summary>What surrounds the object.</summary>
public enum BackgroundKind
{
    /// <summary>One colour.</summary>
    Plain,

    /// <summary>A colour that changes across the image.</summary>
    Gradient,

    /// <summary>A colour with noise.</summary>
    Noise,

    /// <summary>A colour with soft patches.</summary>
    Patches,
}

/// <summary>Everything that an image is drawn from.</summary>
/// <param name="Shape">Index into <see cref="Words.Shapes"/>.</param>
/// <param name="Colour">Index into <see cref="Words.Colours"/>.</param>
/// <param name="Texture">Index into <see cref="Words.Textures"/>.</param>
/// <param name="Size">Index into <see cref="Words.Sizes"/>: 0 small, 1 between, 2 large.</param>
/// <param name="Background">Index into <see cref="Words.Colours"/>, another than <paramref name="Colour"/>.</param>
/// <param name="Light">Index into <see cref="Words.Lights"/>: 0 dark, 1 ordinary, 2 bright.</param>
/// <param name="BackgroundKind">What surrounds the object.</param>
/// <param name="Radius">Of the object, in shares of the image's side.</param>
/// <param name="CentreX">From the left, in shares of the image's side.</param>
/// <param name="CentreY">From the top, in shares of the image's side.</param>
/// <param name="Rotation">In degrees.</param>
/// <param name="Stretch">Width over height of the object, about 1.</param>
/// <param name="Variation">Where the random numbers of colour shades, pattern and noise begin.</param>
public sealed record Scene(
    int Shape,
    int Colour,
    int Texture,
    int Size,
    int Background,
    int Light,
    BackgroundKind BackgroundKind,
    float Radius,
    float CentreX,
    float CentreY,
    float Rotation,
    float Stretch,
    int Variation
)
{
    private static readonly (float Low, float High)[] Radii = [(0.17f, 0.24f), (0.26f, 0.34f), (0.36f, 0.46f)];

    internal static Scene Draw(ref SceneRandom random)
    {
        int colours = Words.Colours.Count,
            colour = random.Next(colours),
            size = random.Next(Radii.Length);
        float radius = random.Next(Radii[size].Low, Radii[size].High),
            room = Math.Max(0, 0.5f - 0.9f * radius);
        return new Scene(
            Shape: random.Next(Words.Shapes.Count),
            Colour: colour,
            Texture: random.Next(Words.Textures.Count),
            Size: size,
            Background: (colour + 1 + random.Next(colours - 1)) % colours,
            Light: random.Chance(0.7f) ? 1
                : random.Chance(0.5f) ? 0
                : 2,
            BackgroundKind: (BackgroundKind)random.Next(4),
            Radius: radius,
            CentreX: 0.5f + random.Next(-room, room),
            CentreY: 0.5f + random.Next(-room, room),
            // Things have an upright; only now and then they stand on their head.
            Rotation: random.Chance(0.85f) ? random.Next(-25f, 25f) : random.Next(-180f, 180f),
            Stretch: random.Next(0.85f, 1.18f),
            Variation: (int)(random.NextBits() >> 33)
        );
    }

    /// <summary>The same thing, but perhaps before plain white, plain itself, large and central, nearly upright: each by a chance of its
    /// own.</summary>
    /// <param name="share">The chance, 0 to 1.</param>
    /// <param name="random">Decides.</param>
    internal Scene MadeEasier(float share, ref SceneRandom random)
    {
        int white = Words.Colours.Count - 1,
            black = white - 1;
        Scene scene = this;
        if (random.Chance(share))
            scene = scene with
            {
                Colour = Colour == white ? black : Colour,
                Background = white,
                BackgroundKind = BackgroundKind.Plain,
                Light = 1,
            };
        if (random.Chance(share))
            scene = scene with { Texture = 0 };
        if (random.Chance(share))
            scene = scene with
            {
                Size = 2,
                Radius = 0.42f,
                CentreX = 0.5f + 0.2f * (CentreX - 0.5f),
                CentreY = 0.5f + 0.2f * (CentreY - 0.5f),
            };
        if (random.Chance(share))
            scene = scene with { Rotation = 0.2f * Rotation };
        return scene;
    }

    /// <summary>The scene's answer to a question about an attribute.</summary>
    public int Answer(Attribute attribute) =>
        attribute switch
        {
            Attribute.Shape => Shape,
            Attribute.Colour => Colour,
            _ => Texture,
        };
}
