namespace Microsoft.ML.Dpl.Drawing;

/// <summary>
/// Colours for numbers from 0 to 1: from dark violet over green to yellow, nine points of matplotlib's viridis (van der Walt, Smith 2015)
/// with straight lines between. Equal steps of the number are about equal steps to the eye, also in grey and to the colour-blind.
/// </summary>
internal static class ColourMap
{
    private static readonly (byte Red, byte Green, byte Blue)[] Points =
    [
        (0x44, 0x01, 0x54),
        (0x47, 0x2D, 0x7B),
        (0x3B, 0x52, 0x8B),
        (0x2C, 0x72, 0x8E),
        (0x21, 0x91, 0x8C),
        (0x28, 0xAE, 0x80),
        (0x5E, 0xC9, 0x62),
        (0xAD, 0xDC, 0x30),
        (0xFD, 0xE7, 0x25),
    ];

    /// <param name="value">0 to 1; what lies outside gets the nearest colour.</param>
    /// <returns>sRGB, each 0 to 255.</returns>
    public static (double Red, double Green, double Blue) At(double value)
    {
        double place = Math.Clamp(value, 0, 1) * (Points.Length - 1);
        int below = Math.Min((int)place, Points.Length - 2);
        double share = place - below;
        var (from, to) = (Points[below], Points[below + 1]);
        return (Between(from.Red, to.Red), Between(from.Green, to.Green), Between(from.Blue, to.Blue));

        double Between(byte a, byte b) => a + (b - a) * share;
    }
}
