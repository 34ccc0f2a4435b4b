namespace Microsoft.ML.Dpl;

/// <summary>A row's text is longer than CLIP reads, and such texts are to be refused; the message names row and column.</summary>
public sealed class TextTooLongException : InvalidOperationException
{
    internal TextTooLongException(string message, long row)
        : base(message) => Row = row;

    /// <summary>Position of the row in its data, from 0.</summary>
    public long Row { get; }
}
