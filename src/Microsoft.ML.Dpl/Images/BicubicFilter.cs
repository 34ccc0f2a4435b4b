namespace Microsoft.ML.Dpl.Images;

/// <summary>The filter weights for each pixel of a resized line: PIL's bicubic filter (a = −½), widened for downscaling, in fixed
/// point.</summary>
/// <remarks>Rounds at the same points as PIL and libtorch, so that the resulting bytes are identical.</remarks>
internal sealed class BicubicFilter
{
    /// <summary>The number of taps is padded to a multiple of this; the padding has weight 0.</summary>
    public const int Group = 4;

    private const double Reach = 2;
    private const int MostBits = 22;

    private readonly int[] _first;
    private readonly short[] _weights;

    /// <param name="from">Length of the source line in pixels, at least 1.</param>
    /// <param name="to">Length of the resized line in pixels, at least 1.</param>
    public BicubicFilter(int from, int to)
    {
        double scale = (double)from / to,
            widening = Math.Max(scale, 1),
            support = Reach * widening,
            narrowing = scale >= 1 ? 1 / scale : 1;
        int most = (int)Math.Ceiling(support) * 2 + 1;
        _first = new int[to];
        var weights = new double[to * most];
        double largest = 0;
        for (int i = 0; i < to; i++)
        {
            double centre = scale * (i + 0.5);
            int first = Math.Max((int)(centre - support + 0.5), 0),
                count = Math.Clamp(Math.Min((int)(centre + support + 0.5), from) - first, 0, most);
            Span<double> own = weights.AsSpan(i * most, count);
            double total = 0;
            for (int tap = 0; tap < count; tap++)
                total += own[tap] = Cubic((tap + first - centre + 0.5) * narrowing);
            for (int tap = 0; tap < count; tap++)
                largest = Math.Max(largest, own[tap] /= total);
            _first[i] = first;
            Used = Math.Max(Used, count);
        }
        Taps = (Used + Group - 1) / Group * Group;
        // The most fractional bits with which the largest weight fits into 16 bits.
        while (Bits < MostBits && (int)(0.5 + largest * (1 << (Bits + 1))) < 1 << 15)
            Bits++;
        _weights = new short[to * Taps];
        for (int i = 0; i < to; i++)
        {
            for (int tap = 0; tap < Used; tap++)
            {
                double fixedPoint = weights[i * most + tap] * (1 << Bits);
                _weights[i * Taps + tap] = (short)(fixedPoint < 0 ? fixedPoint - 0.5 : fixedPoint + 0.5);
            }
        }
    }

    /// <summary>The maximum number of weights of a pixel.</summary>
    public int Used { get; }

    /// <summary><see cref="Used"/> rounded up to a multiple of <see cref="Group"/>.</summary>
    public int Taps { get; }

    /// <summary>Fractional bits of the weights.</summary>
    public int Bits { get; }

    /// <summary>The first source pixel of each pixel.</summary>
    public ReadOnlySpan<int> Firsts => _first;

    /// <summary>The first source pixel of a pixel.</summary>
    public int First(int pixel) => _first[pixel];

    /// <summary>[<see cref="Taps"/>] the weights of a pixel; some at the end may be 0, for padding beyond the line.</summary>
    public ReadOnlySpan<short> Weights(int pixel) => _weights.AsSpan(pixel * Taps, Taps);

    private static double Cubic(double x)
    {
        const double a = -0.5;
        x = Math.Abs(x);
        return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1
            : x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
            : 0;
    }
}
