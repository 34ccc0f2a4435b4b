using System.Globalization;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>Figures on one line; the less important ones are dropped if the line is too short.</summary>
internal sealed class Figures
{
    private readonly List<(string Text, int Rank)> _parts = [];

    /// <param name="rank">Importance from 0, the most important.</param>
    /// <param name="text">The figure; null or empty to add nothing.</param>
    public Figures Add(int rank, string? text)
    {
        if (!string.IsNullOrEmpty(text))
            _parts.Add((text, rank));
        return this;
    }

    /// <summary>The figures in the order in which they were added, dropping the less important ones to fit the width.</summary>
    /// <param name="width">Available width in characters; the most important figure is always kept.</param>
    public string Within(int width)
    {
        var kept = _parts.ToList();
        while (kept.Count > 1 && Joined(kept).Length > width)
            kept.Remove(kept.MaxBy(part => part.Rank));
        return Joined(kept);
    }

    public override string ToString() => Joined(_parts);

    /// <summary>Formats a time as hours, minutes and seconds, preceded by days if there are any.</summary>
    public static string Time(TimeSpan time) =>
        time.ToString(time.Days > 0 ? "d\\.hh\\:mm\\:ss" : "hh\\:mm\\:ss", CultureInfo.InvariantCulture);

    /// <summary>Formats the remaining time; null if it is not known or zero.</summary>
    public static string? Left(TimeSpan? remaining) => remaining > TimeSpan.Zero ? $"{Time(remaining.Value)} left" : null;

    /// <summary>Formats a rate; null if it is not known.</summary>
    public static string? Rate(double? imagesPerSecond) =>
        imagesPerSecond is double rate ? string.Create(CultureInfo.InvariantCulture, $"{rate:f1} images/s") : null;

    private static string Joined(IEnumerable<(string Text, int Rank)> parts) => string.Join(", ", parts.Select(part => part.Text));
}
