using System.Globalization;
using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>The column with the weight of each row's loss, after lookup and checks.</summary>
internal sealed class WeightColumn
{
    private WeightColumn(DataViewSchema.Column column) => Column = column;

    public DataViewSchema.Column Column { get; }

    /// <exception cref="ArgumentOutOfRangeException">The column is missing or is not a scalar float.</exception>
    public static WeightColumn Find(DataViewSchema schema, string name) =>
        FindIfPresent(schema, name) ?? throw Missing(nameof(schema), name, schema.Select(c => c.Name));

    /// <returns>Null if there is no such column.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The column is not a scalar float.</exception>
    public static WeightColumn? FindIfPresent(DataViewSchema schema, string name)
    {
        if (schema.GetColumnOrNull(name) is not { } column)
            return null;
        return IsSingle(column.Type) ? new WeightColumn(column) : throw Unsuitable(nameof(schema), name, $"{column.Type}");
    }

    /// <summary>Makes the same checks on an estimator's input schema shape.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The column is missing or is not a scalar float.</exception>
    public static void Check(SchemaShape schema, string name)
    {
        if (!schema.Any(c => c.Name == name))
            throw Missing(nameof(schema), name, schema.Select(c => c.Name));
        SchemaShape.Column column = schema.First(c => c.Name == name);
        bool isScalar = column.Kind == SchemaShape.Column.VectorKind.Scalar;
        if (!isScalar || column.IsKey || !IsSingle(column.ItemType))
            throw Unsuitable(nameof(schema), name, $"{(isScalar ? "" : "Vector of ")}{(column.IsKey ? "Key of " : "")}{column.ItemType}");
    }

    /// <summary>Creates a reader for the weight, at least 0, at a row's current position.</summary>
    /// <param name="row">A row or cursor in which the column is active.</param>
    public Func<float> CreateReader(DataViewRow row)
    {
        ValueGetter<float> get = row.GetGetter<float>(row.Schema[Column.Index]);
        float weight = 0;
        return () =>
        {
            get(ref weight);
            if (float.IsFinite(weight) && weight >= 0)
                return weight;
            throw new InvalidOperationException(
                $"Row {row.Position} (counted from 0): the weight in column '{Column.Name}' is "
                    + $"{weight.ToString(CultureInfo.InvariantCulture)}. A weight must be a finite number of at least 0; 0 leaves the "
                    + "row out."
            );
        };
    }

    private static bool IsSingle(DataViewType type) => type is NumberDataViewType number && number == NumberDataViewType.Single;

    private static ArgumentOutOfRangeException Missing(string parameter, string name, IEnumerable<string> present) =>
        new(parameter, $"There is no weight column '{name}'; the columns are: {string.Join(", ", present)}.");

    private static ArgumentOutOfRangeException Unsuitable(string parameter, string name, string type) =>
        new(
            parameter,
            $"Weight column '{name}' is of type {type}. It must be a single float a row: turn it into one with Conversion.ConvertType."
        );
}
