using Microsoft.ML.Data;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML.Dpl.Embedding;

/// <summary>The column that an embedding adds: the estimator's promised schema and the transformer's actual one.</summary>
/// <param name="columnName">Name of the column.</param>
/// <param name="width">Length of a vector.</param>
internal sealed class EmbeddingSchema(string columnName, int width) : IAddedColumns
{
    /// <summary>Returns <paramref name="input"/> with the vector column, which replaces any column of the same name.</summary>
    public static SchemaShape Promise(SchemaShape input, string columnName) =>
        new([
            .. input.Where(c => c.Name != columnName),
            MLNetInternals.ShapeColumn(columnName, SchemaShape.Column.VectorKind.Vector, NumberDataViewType.Single),
        ]);

    public DataViewSchema AppendTo(DataViewSchema input)
    {
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(input);
        builder.AddColumn(columnName, new VectorDataViewType(NumberDataViewType.Single, width));
        return builder.ToSchema();
    }

    public ValueGetter<T> CreateGetter<T>(DataViewSchema.Column column, Func<float[]> numbers) => ScoreGetters.Vector<T>(column, numbers);
}
