using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl;

/// <summary>A row's image is missing or cannot be decoded; the message names the row and, where there is one, the file.</summary>
public sealed class UnreadableImageException : InvalidOperationException
{
    internal UnreadableImageException(long row, string column, string? path, Exception cause)
        : base(
            $"Row {row} (counted from 0), image column '{column}'{(string.IsNullOrEmpty(path) ? "" : $", '{ShownText.Escape(path)}'")}: "
                + $"{cause.Message}",
            cause
        ) => (Row, Path) = (row, path);

    private UnreadableImageException(UnreadableImageException told, string advice)
        : base($"{told.Message.TrimEnd('.')}. {advice}", told.InnerException) => (Row, Path) = (told.Row, told.Path);

    /// <summary>The same exception with a sentence of advice appended to its message.</summary>
    internal UnreadableImageException Advising(string advice) => new(this, advice);

    /// <summary>Index of the row in its data, from 0.</summary>
    public long Row { get; }

    /// <summary>Path of the image file; null if the image was given as bytes or as an image without a tag.</summary>
    public string? Path { get; }
}

/// <summary>A row's text is longer than CLIP can read, and such texts are to be rejected; the message names row and column.</summary>
public sealed class TextTooLongException : InvalidOperationException
{
    internal TextTooLongException(string message, long row)
        : base(message) => Row = row;

    /// <summary>Index of the row in its data, from 0.</summary>
    public long Row { get; }
}
