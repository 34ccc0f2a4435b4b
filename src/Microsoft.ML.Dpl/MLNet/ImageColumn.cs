using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>The forms of images that a column can contain.</summary>
internal enum ImageForm
{
    /// <summary><see cref="MLImage"/>, as <c>LoadImages</c> creates it.</summary>
    Image,

    /// <summary>Text: the path of an image file.</summary>
    Path,

    /// <summary>A vector of bytes: the content of an image file, as <c>LoadRawImageBytes</c> creates it.</summary>
    Bytes,
}

/// <summary>The column that images are read from, after lookup and checks.</summary>
internal sealed class ImageColumn
{
    private readonly ImageReading _reading;

    private ImageColumn(DataViewSchema.Column column, ImageForm form, ImageReading reading) =>
        (Column, Form, _reading) = (column, form, reading);

    public DataViewSchema.Column Column { get; }

    public ImageForm Form { get; }

    /// <param name="schema">The input's schema.</param>
    /// <param name="name">The column's name.</param>
    /// <param name="reading">How files and bytes are read; null for the defaults of <see cref="ImageReading"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The column is missing, or its type cannot contain images.</exception>
    public static ImageColumn Find(DataViewSchema schema, string name, ImageReading? reading = null)
    {
        if (schema.GetColumnOrNull(name) is not { } column)
            throw Missing(nameof(schema), name, schema.Select(c => c.Name));
        var vector = column.Type as VectorDataViewType;
        return new ImageColumn(
            column,
            FormOf(vector?.ItemType ?? column.Type, vector is not null) ?? throw Unsuitable(nameof(schema), name, $"{column.Type}"),
            reading ?? new ImageReading()
        );
    }

    /// <summary>Makes the same checks on an estimator's input schema shape.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The column is missing, or its type cannot contain images.</exception>
    public static void Check(SchemaShape schema, string name)
    {
        if (!schema.Any(c => c.Name == name))
            throw Missing(nameof(schema), name, schema.Select(c => c.Name));
        SchemaShape.Column column = schema.First(c => c.Name == name);
        bool isVector = column.Kind != SchemaShape.Column.VectorKind.Scalar;
        if (column.IsKey || FormOf(column.ItemType, isVector) is null)
            throw Unsuitable(nameof(schema), name, $"{(isVector ? "Vector of " : "")}{(column.IsKey ? "Key of " : "")}{column.ItemType}");
    }

    /// <param name="row">A row or cursor in which the column is active.</param>
    public ImageReader CreateReader(DataViewRow row) => new(row, row.Schema[Column.Index], Form, _reading);

    /// <summary>Combines this column with the scorer that runs on it.</summary>
    public ScoredColumn ScoredBy(IImageScorer scorer) => new(Column, scorer.BatchSize, row =>
        {
            ImageReader reader = CreateReader(row);
            return new RowBatch<byte[]>(() => scorer.Prepare(reader.Read()), scorer);
        });

    private static ImageForm? FormOf(DataViewType itemType, bool isVector) =>
        (itemType, isVector) switch
        {
            (ImageDataViewType, false) => ImageForm.Image,
            (TextDataViewType, false) => ImageForm.Path,
            (NumberDataViewType number, true) when number == NumberDataViewType.Byte => ImageForm.Bytes,
            _ => null,
        };

    private static ArgumentOutOfRangeException Missing(string parameter, string name, IEnumerable<string> present) =>
        new(parameter, $"There is no image column '{name}'; the columns are: {string.Join(", ", present)}.");

    private static ArgumentOutOfRangeException Unsuitable(string parameter, string name, string type) =>
        new(
            parameter,
            $"Image column '{name}' is of type {type}. It must hold images (LoadImages), paths as text, or the bytes of encoded files "
                + "(LoadRawImageBytes)."
        );
}
