using System.Globalization;

namespace Microsoft.ML.Dpl.Plots;

/// <summary>The range of an axis and its ticks at round numbers, in the units in which the plot is drawn: decimal logarithms where the axis
/// is logarithmic.</summary>
/// <remarks>Independent of fonts, unlike ScottPlot's, which measures labels: machines without fonts draw the same image.</remarks>
/// <param name="Low">Of the range.</param>
/// <param name="High">Above <paramref name="Low"/>.</param>
/// <param name="Ticks">Places and what is written there, increasing.</param>
internal sealed record AxisTicks(double Low, double High, IReadOnlyList<(double Place, string Label)> Ticks)
{
    private const int WantedSteps = 5;

    /// <summary>Share of the range from its low end, 0 to 1.</summary>
    public double Share(double place) => (place - Low) / (High - Low);

    /// <param name="axis">May fix an end.</param>
    /// <param name="values">Of all series, in the axis's own units; what is no finite number is passed over.</param>
    public static AxisTicks Create(PlotAxis axis, IEnumerable<double> values)
    {
        double[] finite = [.. values.Where(value => double.IsFinite(value) && (!axis.Logarithmic || value > 0))];
        if (finite.Length == 0)
            finite = [1];
        double low = axis.Minimum ?? finite.Min(),
            high = axis.Maximum ?? finite.Max();
        return axis.Logarithmic ? Logarithmic(low, high) : Linear(axis, low, high);
    }

    /// <summary>A place on the axis in the plot's units; no number where it cannot be shown.</summary>
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
        // Ranges of counts end where the counts end; others at the next tick.
        if (!whole)
            (low, high) = (axis.Minimum ?? Math.Floor(low / step + 1e-9) * step, axis.Maximum ?? Math.Ceiling(high / step - 1e-9) * step);
        double first = Math.Ceiling(low / step - 1e-9),
            last = Math.Floor(high / step + 1e-9);
        // Numbers so large and so close that the ticks between them cannot be told apart have none.
        int count = last - first is >= 0 and < 2 * WantedSteps + 2 ? (int)(last - first) + 1 : 0;
        return new AxisTicks(
            low,
            high,
            [.. Enumerable.Range(0, count).Select(i => (first + i) * step).Select(place => (place, Label(axis.Numbers, place, step)))]
        );
    }

    /// <summary>A range around the only value: some room on both sides, but none that no value can have.</summary>
    private static (double Low, double High) Around(PlotAxis axis, double value)
    {
        double margin = axis.Numbers == PlotNumbers.Whole || value == 0 ? 1 : Math.Abs(value) * 0.1;
        if (axis.Numbers == PlotNumbers.Percent && value is >= 0 and <= 1)
            return (axis.Minimum ?? Math.Max(0, value - 0.1), axis.Maximum ?? Math.Min(1, value + 0.1));
        double low = axis.Minimum ?? value - margin;
        return (low, Math.Max(axis.Maximum ?? value + margin, low + margin));
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
