namespace Drawing;

/// <summary>What surrounds the object.</summary>
public enum BackgroundKind
{
    /// <summary>One colour.</summary>
    Plain,

    /// <summary>A colour gradient across the image.</summary>
    Gradient,

    /// <summary>A colour with noise.</summary>
    Noise,

    /// <summary>A colour with soft patches.</summary>
    Patches,
}

/// <summary>All parameters of a drawn image.</summary>
/// <param name="Shape">Index into <see cref="Words.Shapes"/>.</param>
/// <param name="Colour">Index into <see cref="Words.Colours"/>.</param>
/// <param name="Texture">Index into <see cref="Words.Textures"/>.</param>
/// <param name="Size">Index into <see cref="Words.Sizes"/>: 0 small, 1 medium, 2 large.</param>
/// <param name="Background">Index into <see cref="Words.Colours"/>, different from <paramref name="Colour"/>.</param>
/// <param name="Light">Index into <see cref="Words.Lights"/>: 0 dark, 1 ordinary, 2 bright.</param>
/// <param name="BackgroundKind">What surrounds the object.</param>
/// <param name="Radius">Radius of the object, as a fraction of the image's side.</param>
/// <param name="CentreX">Centre of the object from the left, as a fraction of the image's side.</param>
/// <param name="CentreY">Centre of the object from the top, as a fraction of the image's side.</param>
/// <param name="Rotation">Rotation in degrees.</param>
/// <param name="Stretch">Ratio of the object's width to its height, about 1.</param>
/// <param name="Variation">Seed of the colour shades, pattern and noise.</param>
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
            // Most objects are nearly upright; only some have an arbitrary rotation.
            Rotation: random.Chance(0.85f) ? random.Next(-25f, 25f) : random.Next(-180f, 180f),
            Stretch: random.Next(0.85f, 1.18f),
            Variation: (int)(random.NextBits() >> 33)
        );
    }

    /// <summary>Returns the scene with each of these simplifications applied independently with a given probability: a plain white
    /// background, no texture, large and central, nearly upright.</summary>
    /// <param name="share">The probability, 0 to 1.</param>
    /// <param name="random">The source of randomness.</param>
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

    /// <summary>Returns the scene's answer to a question about an attribute.</summary>
    public int Answer(Attribute attribute) =>
        attribute switch
        {
            Attribute.Shape => Shape,
            Attribute.Colour => Colour,
            _ => Texture,
        };
}
