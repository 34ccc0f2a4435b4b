using System.Globalization;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>Figures on one line, of which the less important ones give way where the line is short.</summary>
internal sealed class Figures
{
    private readonly List<(string Text, int Rank)> _parts = [];

    /// <param name="rank">From 0, the most important.</param>
    /// <param name="text">Null or empty: there is no such figure.</param>
    public Figures Add(int rank, string? text)
    {
        if (!string.IsNullOrEmpty(text))
            _parts.Add((text, rank));
        return this;
    }

    /// <summary>In the order in which they were added.</summary>
    /// <param name="width">Characters that there are; the most important figure is written in any case.</param>
    public string Within(int width)
    {
        var kept = _parts.ToList();
        while (kept.Count > 1 && Joined(kept).Length > width)
            kept.Remove(kept.MaxBy(part => part.Rank));
        return Joined(kept);
    }

    public override string ToString() => Joined(_parts);

    /// <summary>Hours, minutes and seconds, with days where there are some.</summary>
    public static string Time(TimeSpan time) =>
        time.ToString(time.Days > 0 ? "d\\.hh\\:mm\\:ss" : "hh\\:mm\\:ss", CultureInfo.InvariantCulture);

    /// <summary>Null where it is not known, or nothing is left.</summary>
    public static string? Left(TimeSpan? remaining) => remaining > TimeSpan.Zero ? $"{Time(remaining.Value)} left" : null;

    /// <summary>Null where it is not known.</summary>
    public static string? Rate(double? imagesPerSecond) =>
        imagesPerSecond is double rate ? string.Create(CultureInfo.InvariantCulture, $"{rate:f1} images/s") : null;

    private static string Joined(IEnumerable<(string Text, int Rank)> parts) => string.Join(", ", parts.Select(part => part.Text));
}
