using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>One labelled picture.</summary>
/// <param name="Row">Its position in the data, from 0.</param>
/// <param name="Path">Its file; null where the picture came as bytes or as an image without a tag.</param>
/// <param name="Image">Decoded.</param>
/// <param name="Class">Index from 0.</param>
internal sealed record TrainingRow(long Row, string? Path, RgbImage Image, int Class);

/// <summary>Labelled pictures, decoded one at a time while they are enumerated; each enumeration is one pass over the data.</summary>
/// <param name="data">Where image and label column were found.</param>
/// <param name="image">The pictures' column.</param>
/// <param name="label">The classes' column.</param>
/// <param name="classes">What the class indices count in.</param>
/// <param name="skipUnreadable">Leave out pictures that cannot be read, instead of failing at the first.</param>
/// <param name="checkAlive">Called for each row; throws to stop.</param>
internal sealed class TrainingRows(IDataView data, ImageColumn image, LabelColumn label, LabelClasses classes, bool skipUnreadable = false, Action? checkAlive = null)
{
    private readonly List<UnreadableImageException> _skipped = [];

    /// <summary>What the latest pass left out, and why.</summary>
    public IReadOnlyList<UnreadableImageException> Skipped => _skipped;

    /// <exception cref="UnreadableImageException">A picture cannot be read, and such pictures are not skipped.</exception>
    /// <exception cref="InvalidOperationException">A row has no label, or one that is not among the classes.</exception>
    public IEnumerable<TrainingRow> Read()
    {
        _skipped.Clear();
        using DataViewRowCursor cursor = data.GetRowCursor([data.Schema[image.Column.Index], data.Schema[label.Column.Index]]);
        ImageReader reader = image.CreateReader(cursor);
        Func<int> readClass = label.CreateReader(cursor, classes);
        while (cursor.MoveNext())
        {
            checkAlive?.Invoke();
            int index = readClass();
            if (TryRead(reader) is { } picture) yield return new TrainingRow(cursor.Position, reader.Path, picture, index);
        }
    }

    private RgbImage? TryRead(ImageReader reader)
    {
        try
        {
            return reader.Read();
        }
        catch (UnreadableImageException e) when (skipUnreadable)
        {
            _skipped.Add(e);
            return null;
        }
    }
}
