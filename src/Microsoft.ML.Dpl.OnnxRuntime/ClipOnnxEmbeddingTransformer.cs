using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Embedding;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.OnnxRuntime;

namespace Microsoft.ML.Dpl;

/// <summary>Adds CLIP's embedding of a column of images or texts, using ONNX Runtime. A zip of a <see cref="ClipEmbeddingTransformer"/>
/// that contains CLIP is loaded as this type if the application has no libtorch.</summary>
/// <remarks>
/// <para>Columns, supported types of image columns and messages are those of the <see cref="ClipEmbeddingTransformer"/>; for vectors of
/// length 1, no number differs by more than 1e-5.</para>
/// <para>Thread-safe. Saving with <c>mlContext.Model.Save</c> reproduces the zip that it was loaded from. Rows are embedded lazily, in
/// batches, when the output column is read.</para>
/// </remarks>
public sealed class ClipOnnxEmbeddingTransformer : ITransformer, IDisposable
{
    private readonly EmbeddingColumns _columns;
    private readonly EmbeddingDescription _description;
    private readonly IEmbedder _embedder;
    private readonly KeptEntries _kept;
    private readonly EmbeddingSchema _schema;
    private readonly ModelShares _shares = new();

    /// <summary>Takes ownership of embedder and entries.</summary>
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

    /// <summary>Name of the column to embed.</summary>
    public string InputColumnName => _columns.Input;

    /// <summary>Name of the output column with the vectors.</summary>
    public string OutputColumnName => _columns.Output;

    /// <summary>The name of the CLIP that the embedding was created with.</summary>
    public string BackboneName => _description.Backbone.Name;

    /// <summary>Whether vectors are normalised to length 1.</summary>
    public bool IsNormalized => _description.Normalize;

    bool ITransformer.IsRowToRowMapper => true;

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        Find(inputSchema);
        return _schema.AppendTo(inputSchema);
    }

    /// <summary>Adds the vectors. Rows are read and embedded lazily, in batches, when the column is read.</summary>
    /// <param name="input">Data with the input column.</param>
    /// <exception cref="ArgumentOutOfRangeException">The input column is missing or of an unsuitable type.</exception>
    public IDataView Transform(IDataView input) => Transform(input, CancellationToken.None);

    /// <summary>Like <see cref="Transform(IDataView)"/>, with cancellation of cursors over the result.</summary>
    /// <param name="input">Data with the input column.</param>
    /// <param name="cancellationToken">Cancels the computation before the next row: reading a row whose vector has not been computed yet
    /// throws <see cref="OperationCanceledException"/>.</param>
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

    /// <summary>Releases one reference to the model, like <see cref="ClipEmbeddingTransformer.Dispose"/>.</summary>
    public void Dispose()
    {
        if (!_shares.GiveBack())
            return;
        _embedder.Dispose();
        _kept.Dispose();
    }

    private ScoredColumn Find(DataViewSchema schema) => _embedder.Find(schema, _columns.Input);
}
