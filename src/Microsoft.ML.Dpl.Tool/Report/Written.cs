using System.Globalization;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>Formats numbers and names for the report page.</summary>
internal static class Written
{
    /// <param name="share">The share, 0 to 1.</param>
    public static string Percent(double share) => share.ToString("0.0 %", CultureInfo.InvariantCulture);

    /// <summary>A difference between two shares in percentage points, with its sign.</summary>
    /// <param name="difference">The difference, −1 to 1.</param>
    public static string Points(double difference) => (100 * difference).ToString("+0.0;−0.0;0.0", CultureInfo.InvariantCulture);

    public static string Number(double value, string format = "0.000") => value.ToString(format, CultureInfo.InvariantCulture);

    /// <summary>A number with its noun in the singular or plural: 1 epoch, 2 epochs.</summary>
    public static string Count(int number, string what) =>
        string.Create(CultureInfo.InvariantCulture, $"{number} {what}{(number == 1 ? "" : "s")}");

    public static string Time(double seconds) =>
        seconds < 60 ? Number(seconds, "0.0") + " s"
        : TimeSpan.FromSeconds(seconds) is { TotalHours: >= 1 } long_ ? $"{(int)long_.TotalHours} h {long_.Minutes} min"
        : $"{(int)(seconds / 60)} min {(int)(seconds % 60)} s";

    public static string Bytes(long bytes) =>
        bytes < 1L << 30 ? Number(bytes / (double)(1 << 20), "0") + " MiB" : Number(bytes / (double)(1 << 30), "0.0") + " GiB";

    /// <summary>A name for use in plain text such as an attribute value, between Unicode isolates: a right-to-left name then leaves the
    /// order of the surrounding text unchanged.</summary>
    public static string Isolated(string name) => $"\u2068{name}\u2069";
}
