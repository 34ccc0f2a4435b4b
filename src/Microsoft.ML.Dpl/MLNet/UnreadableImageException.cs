using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>A row's image is missing or cannot be decoded; the message names the row and, where there is one, the file.</summary>
internal sealed class UnreadableImageException(long row, string column, string? path, Exception cause)
    : InvalidOperationException(
        $"Row {row} (counted from 0), image column '{column}'{(string.IsNullOrEmpty(path) ? "" : $", '{ShownText.Escape(path)}'")}: "
            + $"{cause.Message}",
        cause
    )
{
    public long Row { get; } = row;

    /// <summary>The file; null where the image came as bytes or as an image without a tag.</summary>
    public string? Path { get; } = path;
}
