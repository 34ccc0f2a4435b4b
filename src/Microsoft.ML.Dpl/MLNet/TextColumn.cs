using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Finds and checks the column that texts are read from.</summary>
internal static class TextColumn
{
    /// <exception cref="ArgumentOutOfRangeException">The column is missing, or is not a scalar text column.</exception>
    public static DataViewSchema.Column Find(DataViewSchema schema, string name)
    {
        if (schema.GetColumnOrNull(name) is not { } column)
            throw Missing(nameof(schema), name, schema.Select(c => c.Name));
        return column.Type is TextDataViewType ? column : throw Unsuitable(nameof(schema), name, $"{column.Type}");
    }

    /// <summary>The check of <see cref="Find"/>, for the schema shape that an estimator is given before it sees data.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The column is missing, or is not a scalar text column.</exception>
    public static void Check(SchemaShape schema, string name)
    {
        if (!schema.Any(c => c.Name == name))
            throw Missing(nameof(schema), name, schema.Select(c => c.Name));
        SchemaShape.Column column = schema.First(c => c.Name == name);
        bool isScalar = column.Kind == SchemaShape.Column.VectorKind.Scalar;
        if (!isScalar || column.IsKey || column.ItemType is not TextDataViewType)
            throw Unsuitable(nameof(schema), name, $"{(isScalar ? "" : "Vector of ")}{(column.IsKey ? "Key of " : "")}{column.ItemType}");
    }

    private static ArgumentOutOfRangeException Missing(string parameter, string name, IEnumerable<string> present) =>
        new(parameter, $"There is no text column '{name}'; the columns are: {string.Join(", ", present)}.");

    private static ArgumentOutOfRangeException Unsuitable(string parameter, string name, string type) =>
        new(parameter, $"Text column '{name}' is of type {type}. It must hold one text a row; Conversion.ConvertType makes it so.");
}
