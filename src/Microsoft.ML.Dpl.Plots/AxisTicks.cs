using System.Globalization;

namespace Microsoft.ML.Dpl.Plots;

/// <summary>The range of an axis and its ticks at round numbers, in the units in which the plot is drawn, which are decimal logarithms for
/// a logarithmic axis.</summary>
/// <remarks>Unlike ScottPlot's ticks, which depend on measured labels, these are independent of fonts, so that machines without fonts draw
/// the same image.</remarks>
/// <param name="Low">The lower end of the range.</param>
/// <param name="High">The upper end of the range, above <paramref name="Low"/>.</param>
/// <param name="Ticks">The ticks' positions, in increasing order, and labels.</param>
internal sealed record AxisTicks(double Low, double High, IReadOnlyList<(double Place, string Label)> Ticks)
{
    private const int WantedSteps = 5;

    /// <summary>The position relative to the range, 0 at the lower end to 1 at the upper.</summary>
    public double Share(double place) => (place - Low) / (High - Low);

    /// <param name="axis">The axis, which may fix either end of the range.</param>
    /// <param name="values">The values of all series, in the axis's own units; values that are not finite are ignored.</param>
    public static AxisTicks Create(PlotAxis axis, IEnumerable<double> values)
    {
        double[] finite = [.. values.Where(value => double.IsFinite(value) && (!axis.Logarithmic || value > 0))];
        if (finite.Length == 0)
            finite = [1];
        double low = axis.Minimum ?? finite.Min(),
            high = axis.Maximum ?? finite.Max();
        return axis.Logarithmic ? Logarithmic(low, high) : Linear(axis, low, high);
    }

    /// <summary>The position of a value on the axis in the plot's units; NaN if it cannot be shown.</summary>
    public static double Place(PlotAxis axis, double value) =>
        !axis.Logarithmic ? value
        : value > 0 ? Math.Log10(value)
        : double.NaN;

    private static AxisTicks Linear(PlotAxis axis, double low, double high)
    {
        bool whole = axis.Numbers == PlotNumbers.Whole;
        if (high <= low)
            (low, high) = Around(axis, low);
        double step = Round((high - low) / WantedSteps);
        if (whole)
            step = Math.Max(1, Math.Ceiling(step));
        // Ranges of whole numbers end at the data's ends; others are extended to the next tick.
        if (!whole)
            (low, high) = (axis.Minimum ?? Math.Floor(low / step + 1e-9) * step, axis.Maximum ?? Math.Ceiling(high / step - 1e-9) * step);
        double first = Math.Ceiling(low / step - 1e-9),
            last = Math.Floor(high / step + 1e-9);
        // No ticks if the numbers are so large and so close together that ticks between them could not be distinguished.
        int count = last - first is >= 0 and < 2 * WantedSteps + 2 ? (int)(last - first) + 1 : 0;
        return new AxisTicks(
            low,
            high,
            [.. Enumerable.Range(0, count).Select(i => (first + i) * step).Select(place => (place, Label(axis.Numbers, place, step)))]
        );
    }

    /// <summary>A range around a single value, with a margin on both sides that does not extend to impossible values.</summary>
    private static (double Low, double High) Around(PlotAxis axis, double value)
    {
        double margin = axis.Numbers == PlotNumbers.Whole || value == 0 ? 1 : Math.Abs(value) * 0.1;
        if (axis.Numbers == PlotNumbers.Percent && value is >= 0 and <= 1)
            return Widened(axis.Minimum ?? Math.Max(0, value - 0.1), axis.Maximum ?? Math.Min(1, value + 0.1), 0.1);
        return Widened(axis.Minimum ?? value - margin, axis.Maximum ?? value + margin, margin);

        // Both ends may be given, and be equal.
        static (double, double) Widened(double low, double high, double least) => (low, high > low ? high : low + least);
    }

    private static AxisTicks Logarithmic(double low, double high)
    {
        (double from, double to) = (Math.Log10(low), Math.Log10(high));
        if (to - from < 0.3)
            (from, to) = ((from + to) / 2 - 0.15, (from + to) / 2 + 0.15);
        double margin = 0.03 * (to - from);
        (from, to) = (from - margin, to + margin);
        int[] digits =
            to - from > 2.5 ? [1]
            : to - from > 1.2 ? [1, 3]
            : [1, 2, 5];
        int skip = Math.Max(1, (int)Math.Ceiling((to - from) / 7));
        var ticks = new List<(double, string)>();
        for (int decade = (int)Math.Floor(from); decade <= to; decade++)
        {
            if (decade % skip != 0)
                continue;
            foreach (int digit in digits)
            {
                double place = decade + Math.Log10(digit);
                if (place >= from && place <= to)
                    ticks.Add((place, Plain(digit * Math.Pow(10, decade), Math.Pow(10, decade))));
            }
        }
        return new AxisTicks(from, to, ticks);
    }

    /// <summary>1, 2 or 5 times a power of ten, at least <paramref name="step"/>.</summary>
    private static double Round(double step)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(step)));
        double digit = step / power;
        return power
            * (
                digit <= 1 ? 1
                : digit <= 2 ? 2
                : digit <= 5 ? 5
                : 10
            );
    }

    private static string Label(PlotNumbers numbers, double value, double step) =>
        numbers == PlotNumbers.Percent ? Plain(100 * value, 100 * step) + " %" : Plain(value, step);

    private static string Plain(double value, double step)
    {
        if (Math.Abs(value) < step * 1e-6)
            return "0";
        if (step < 1e-4 || Math.Abs(value) >= 1e6)
            return value.ToString("0.##e0", CultureInfo.InvariantCulture);
        int decimals = Math.Max(0, (int)-Math.Floor(Math.Log10(step) + 1e-9));
        return value.ToString("f" + decimals, CultureInfo.InvariantCulture);
    }
}
