using Microsoft.ML.Data;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML.Dpl.Embedding;

/// <summary>The one column that an embedding adds, as promised and as delivered.</summary>
/// <param name="columnName">Its name.</param>
/// <param name="width">Numbers in a vector.</param>
internal sealed class EmbeddingSchema(string columnName, int width) : IAddedColumns
{
    /// <summary><paramref name="input"/> with the vector, replacing a column of the same name.</summary>
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
