using Microsoft.ML.Dpl.Drawing;

namespace Microsoft.ML.Dpl.Tests.Drawing;

public sealed class ColourMapTests
{
    /// <summary>The colours' CIE L* rises by nearly the same amount at every step, so that equal differences in value look equal.</summary>
    [Fact]
    public void Lightness_rises_evenly()
    {
        double[] lightness = [.. Enumerable.Range(0, 21).Select(i => Lightness(ColourMap.At(i / 20.0)))];
        double step = (lightness[^1] - lightness[0]) / 20;
        Assert.InRange(step, 3, 5);
        for (int i = 1; i < lightness.Length; i++)
            Assert.InRange(lightness[i] - lightness[i - 1], 0.7 * step, 1.3 * step);
    }

    [Fact]
    public void What_lies_outside_gets_the_nearest_colour()
    {
        Assert.Equal(ColourMap.At(0), ColourMap.At(-1));
        Assert.Equal(ColourMap.At(1), ColourMap.At(2));
    }

    private static double Lightness((double Red, double Green, double Blue) colour)
    {
        static double Linear(double value) => value / 255 <= 0.04045 ? value / 255 / 12.92 : Math.Pow((value / 255 + 0.055) / 1.055, 2.4);
        double luminance = 0.2126 * Linear(colour.Red) + 0.7152 * Linear(colour.Green) + 0.0722 * Linear(colour.Blue);
        return 116 * Math.Cbrt(luminance) - 16;
    }
}
