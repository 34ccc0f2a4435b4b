using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Embedding;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.OnnxRuntime;

namespace Microsoft.ML.Dpl;

/// <summary>Adds CLIP's embedding of a column of images or texts, by ONNX Runtime: what a zip of a
/// <see cref="ClipEmbeddingTransformer"/> that carries CLIP becomes where the application has no libtorch.</summary>
/// <remarks>
/// <para>Columns, kinds of image columns and messages are those of the <see cref="ClipEmbeddingTransformer"/>; of vectors of length 1 no
/// number differs by more than 1e-5.</para>
/// <para>Thread-safe. Saved with <c>mlContext.Model.Save</c>, it is the zip that it was loaded from. Rows are embedded in batches when the
/// output column is first asked for.</para>
/// </remarks>
public sealed class ClipOnnxEmbeddingTransformer : ITransformer, IDisposable
{
    private readonly EmbeddingColumns _columns;
    private readonly EmbeddingDescription _description;
    private readonly IEmbedder _embedder;
    private readonly KeptEntries _kept;
    private readonly EmbeddingSchema _schema;
    private readonly ModelShares _shares = new();

    /// <summary>Takes over embedder and entries.</summary>
    internal ClipOnnxEmbeddingTransformer(
        EmbeddingColumns columns,
        EmbeddingDescription description,
        (IEmbedder Embedder, int Width) embedding,
        KeptEntries kept
    )
    {
        (_columns, _description, _embedder, _kept) = (columns, description, embedding.Embedder, kept);
        _schema = new EmbeddingSchema(columns.Output, embedding.Width);
    }

    /// <summary>Name of the column that is embedded.</summary>
    public string InputColumnName => _columns.Input;

    /// <summary>Name of the column with the vectors.</summary>
    public string OutputColumnName => _columns.Output;

    /// <summary>The CLIP's name where the embedding was made.</summary>
    public string BackboneName => _description.Backbone.Name;

    /// <summary>Whether every vector has length 1.</summary>
    public bool IsNormalized => _description.Normalize;

    bool ITransformer.IsRowToRowMapper => true;

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        Find(inputSchema);
        return _schema.AppendTo(inputSchema);
    }

    /// <summary>Adds the vectors. Rows are read and embedded in batches when the column is first asked for.</summary>
    /// <param name="input">With the input column.</param>
    /// <exception cref="ArgumentOutOfRangeException">The input column is missing or of an unsuitable type.</exception>
    public IDataView Transform(IDataView input) => Transform(input, CancellationToken.None);

    /// <summary>As <see cref="Transform(IDataView)"/>, with a way to end what reads the result.</summary>
    /// <param name="input">With the input column.</param>
    /// <param name="cancellationToken">Ends the work before the next row: whoever reads a row without a vector yet gets an
    /// <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The input column is missing or of an unsuitable type.</exception>
    public IDataView Transform(IDataView input, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new BatchedScoringDataView(input, Find(input.Schema), _schema, cancellationToken);
    }

    IRowToRowMapper ITransformer.GetRowToRowMapper(DataViewSchema inputSchema) =>
        new ScoringRowMapper(inputSchema, Find(inputSchema), _schema, _shares.Take);

    void ICanSaveModel.Save(ModelSaveContext ctx) =>
        _embedder.Use(() =>
        {
            EmbeddingZip.Write(ctx, _columns, _description, _kept.Streams);
            return true;
        });

    /// <summary>Gives back one share of the model, as <see cref="ClipEmbeddingTransformer.Dispose"/> does.</summary>
    public void Dispose()
    {
        if (!_shares.GiveBack())
            return;
        _embedder.Dispose();
        _kept.Dispose();
    }

    private ScoredColumn Find(DataViewSchema schema) => _embedder.Find(schema, _columns.Input);
}
