using SkiaSharp;

namespace Drawing.Tasks;

/// <summary>Named colours, and random ones of a given kind.</summary>
internal static class Colours
{
    /// <summary>Returns the usual shade of a named colour.</summary>
    /// <exception cref="ArgumentException">There is no such colour.</exception>
    public static SKColor Named(string name) =>
        name switch
        {
            "red" => new SKColor(208, 36, 40),
            "orange" => new SKColor(240, 132, 24),
            "yellow" => new SKColor(242, 212, 44),
            "green" => new SKColor(44, 150, 62),
            "blue" => new SKColor(40, 84, 206),
            "purple" => new SKColor(128, 52, 168),
            "pink" => new SKColor(246, 146, 180),
            "brown" => new SKColor(118, 74, 40),
            "white" => new SKColor(242, 242, 240),
            "black" => new SKColor(26, 26, 30),
            _ => throw new ArgumentException($"There is no colour '{name}'.", nameof(name)),
        };

    public static SKColor Vivid(this Easel easel) => SKColor.FromHsv(easel.Between(0, 360), easel.Between(55, 95), easel.Between(50, 90));

    public static SKColor Pale(this Easel easel) => SKColor.FromHsv(easel.Between(0, 360), easel.Between(6, 32), easel.Between(84, 98));

    public static SKColor Dark(this Easel easel) => SKColor.FromHsv(easel.Between(0, 360), easel.Between(25, 65), easel.Between(14, 36));

    /// <summary>Returns a random colour close to a given one.</summary>
    /// <param name="easel">The source of randomness.</param>
    /// <param name="colour">The given colour.</param>
    /// <param name="amount">Largest change of a channel, in levels.</param>
    public static SKColor Near(this Easel easel, SKColor colour, float amount)
    {
        float shared = easel.Between(-amount, amount);
        byte Moved(byte level) => (byte)Math.Clamp(level + 0.6f * shared + 0.4f * easel.Between(-amount, amount), 0, 255);
        return new SKColor(Moved(colour.Red), Moved(colour.Green), Moved(colour.Blue), colour.Alpha);
    }

    /// <summary>Interpolates between two colours: 0 gives the first, 1 the second.</summary>
    public static SKColor Mix(SKColor first, SKColor second, float share)
    {
        byte Between(byte a, byte b) => (byte)(a + (b - a) * share);
        return new SKColor(
            Between(first.Red, second.Red),
            Between(first.Green, second.Green),
            Between(first.Blue, second.Blue),
            Between(first.Alpha, second.Alpha)
        );
    }

    /// <summary>Sum of the absolute differences of the channels, 0 to 765.</summary>
    public static int Difference(SKColor first, SKColor second) =>
        Math.Abs(first.Red - second.Red) + Math.Abs(first.Green - second.Green) + Math.Abs(first.Blue - second.Blue);

    public static SKColor Darker(this SKColor colour, float share) => Mix(colour, SKColors.Black.WithAlpha(colour.Alpha), share);

    public static SKColor Lighter(this SKColor colour, float share) => Mix(colour, SKColors.White.WithAlpha(colour.Alpha), share);
}
