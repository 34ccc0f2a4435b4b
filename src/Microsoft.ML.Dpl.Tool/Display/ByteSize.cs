using System.Globalization;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>Formats numbers of bytes for display.</summary>
internal static class ByteSize
{
    public static string Text(long bytes) =>
        bytes switch
        {
            < 1 << 10 => $"{bytes} bytes",
            < 1 << 20 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1024.0:f1} KiB"),
            _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1048576.0:f1} MiB"),
        };
}
