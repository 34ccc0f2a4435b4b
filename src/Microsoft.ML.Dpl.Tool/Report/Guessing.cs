using System.Globalization;
using Microsoft.ML.Dpl.Plots;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>The result of guessing at random among the classes, as a dashed line in plots; empty if the number of classes is
/// unknown.</summary>
internal static class Guessing
{
    /// <summary>The cross-entropy of uniform probabilities, ln(classes), in nats.</summary>
    public static IEnumerable<PlotSeries> Loss(FitResults results, IReadOnlyList<double> places) =>
        results.ClassCount is int classes ? [Line(Invariant($"guessing (ln {classes})"), places, Math.Log(classes))] : [];

    /// <summary>The accuracy of random guessing, 1 / classes.</summary>
    public static IEnumerable<PlotSeries> Accuracy(FitResults results, IReadOnlyList<double> places) =>
        results.ClassCount is int classes ? [Line(Invariant($"guessing (1 / {classes})"), places, 1.0 / classes)] : [];

    /// <summary>The value as text for the plot's description, for readers who cannot see the plot; empty if the number of classes is
    /// unknown.</summary>
    public static string LossInWords(FitResults results) =>
        results.ClassCount is int classes ? $"; guessing comes to {Written.Number(Math.Log(classes))}" : "";

    /// <inheritdoc cref="LossInWords"/>
    public static string AccuracyInWords(FitResults results) =>
        results.ClassCount is int classes ? $"; guessing comes to {Written.Percent(1.0 / classes)}" : "";

    private static PlotSeries Line(string name, IReadOnlyList<double> places, double height)
    {
        // With a single epoch the line would have no length.
        double half = places[0] == places[^1] ? 0.5 : 0;
        return new PlotSeries(name, PlotMark.Dashes, [places[0] - half, places[^1] + half], [height, height]) { Colour = 0 };
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
