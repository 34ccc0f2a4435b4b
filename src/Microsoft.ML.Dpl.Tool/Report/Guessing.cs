using System.Globalization;
using Microsoft.ML.Dpl.Plots;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>What guessing among the classes comes to, as a dashed line in plots; nothing where their number is not known.</summary>
internal static class Guessing
{
    /// <summary>The cross-entropy of equal probabilities, in nats.</summary>
    public static IEnumerable<PlotSeries> Loss(FitResults results, IReadOnlyList<double> places) =>
        results.ClassCount is int classes ? [Line(Invariant($"guessing (ln {classes})"), places, Math.Log(classes))] : [];

    /// <summary>The share of images that is right by chance, 0 to 1.</summary>
    public static IEnumerable<PlotSeries> Accuracy(FitResults results, IReadOnlyList<double> places) =>
        results.ClassCount is int classes ? [Line(Invariant($"guessing (1 / {classes})"), places, 1.0 / classes)] : [];

    /// <summary>The same for who cannot see the plot.</summary>
    public static string LossInWords(FitResults results) =>
        results.ClassCount is int classes ? $"; guessing comes to {Written.Number(Math.Log(classes))}" : "";

    /// <inheritdoc cref="LossInWords"/>
    public static string AccuracyInWords(FitResults results) =>
        results.ClassCount is int classes ? $"; guessing comes to {Written.Percent(1.0 / classes)}" : "";

    private static PlotSeries Line(string name, IReadOnlyList<double> places, double height)
    {
        // One epoch alone would leave the line no length.
        double half = places[0] == places[^1] ? 0.5 : 0;
        return new PlotSeries(name, PlotMark.Dashes, [places[0] - half, places[^1] + half], [height, height]) { Colour = 0 };
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
