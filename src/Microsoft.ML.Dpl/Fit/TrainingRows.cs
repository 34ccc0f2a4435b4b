using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>One labelled image.</summary>
/// <param name="Row">Its position in the data, from 0.</param>
/// <param name="Path">The path of its file; null where the image came as bytes or as an image without a tag.</param>
/// <param name="Image">The decoded image.</param>
/// <param name="Class">Index of its class, from 0.</param>
/// <param name="Weight">Weight of its loss, above 0; 1 without a weight column.</param>
internal sealed record TrainingRow(long Row, string? Path, RgbImage Image, int Class, float Weight);

/// <summary>Labelled images, decoded one at a time during enumeration; each enumeration is one pass over the data.</summary>
/// <param name="data">The data that contains the columns.</param>
/// <param name="image">The image column.</param>
/// <param name="label">The label column.</param>
/// <param name="classes">The classes that the class indices refer to.</param>
/// <param name="skipUnreadable">Whether to leave out unreadable images instead of failing at the first.</param>
/// <param name="checkAlive">Called for each row; throws to cancel.</param>
/// <param name="weight">The weight column; null: all rows have weight 1. Rows of weight 0 are skipped.</param>
internal sealed class TrainingRows(
    IDataView data,
    ImageColumn image,
    LabelColumn label,
    LabelClasses classes,
    bool skipUnreadable = false,
    Action? checkAlive = null,
    WeightColumn? weight = null
)
{
    private readonly List<UnreadableImageException> _skipped = [];

    /// <summary>The images that the latest pass skipped, and why.</summary>
    public IReadOnlyList<UnreadableImageException> Skipped => _skipped;

    /// <exception cref="UnreadableImageException">An image cannot be read, and unreadable images are not skipped.</exception>
    /// <exception cref="InvalidOperationException">A row has no label, a label that is not among the classes, or no usable
    /// weight.</exception>
    public IEnumerable<TrainingRow> Read()
    {
        _skipped.Clear();
        DataViewSchema.Column[] columns =
        [
            data.Schema[image.Column.Index],
            data.Schema[label.Column.Index],
            .. weight is null ? [] : new[] { data.Schema[weight.Column.Index] },
        ];
        using DataViewRowCursor cursor = data.GetRowCursor(columns);
        ImageReader reader = image.CreateReader(cursor);
        Func<int> readClass = label.CreateReader(cursor, classes);
        Func<float>? readWeight = weight?.CreateReader(cursor);
        while (cursor.MoveNext())
        {
            checkAlive?.Invoke();
            int index = readClass();
            float counts = readWeight?.Invoke() ?? 1;
            if (counts > 0 && TryRead(reader) is { } image)
                yield return new TrainingRow(cursor.Position, reader.Path, image, index, counts);
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
        catch (UnreadableImageException e)
        {
            throw e.Advising("Repair or replace the image, or leave such images out with Images.SkipUnreadable.");
        }
    }
}
