using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Embedding;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.OnnxRuntime;

namespace Microsoft.ML.Dpl;

/// <summary>Adds CLIP's embedding of a column of images, by ONNX Runtime: what a zip of a <see cref="ClipEmbeddingTransformer"/> that
/// carries CLIP becomes where the application has no libtorch.</summary>
/// <remarks>
/// <para>Columns, kinds of image columns and messages are those of the <see cref="ClipEmbeddingTransformer"/>; of vectors of length 1 no
/// number differs by more than 1e-5. Texts are embedded by libtorch alone.</para>
/// <para>Thread-safe. Saved with <c>mlContext.Model.Save</c>, it is the zip that it was loaded from. Rows are embedded in batches when the
/// output column is first asked for.</para>
/// </remarks>
public sealed class ClipOnnxEmbeddingTransformer : ITransformer, IDisposable
{
    private readonly EmbeddingColumns _columns;
    private readonly EmbeddingDescription _description;
    private readonly OnnxScorer _scorer;
    private readonly KeptEntries _kept;
    private readonly EmbeddingSchema _schema;
    private readonly ModelShares _shares = new();

    /// <summary>Takes over scorer and entries.</summary>
    internal ClipOnnxEmbeddingTransformer(EmbeddingColumns columns, EmbeddingDescription description, OnnxScorer scorer, KeptEntries kept)
    {
        (_columns, _description, _scorer, _kept) = (columns, description, scorer, kept);
        _schema = new EmbeddingSchema(columns.Output, scorer.Size);
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
    /// <param name="input">With the image column.</param>
    /// <exception cref="ArgumentOutOfRangeException">The image column is missing or of an unsuitable type.</exception>
    public IDataView Transform(IDataView input) => Transform(input, CancellationToken.None);

    /// <summary>As <see cref="Transform(IDataView)"/>, with a way to end what reads the result.</summary>
    /// <param name="input">With the image column.</param>
    /// <param name="cancellationToken">Ends the work before the next row: whoever reads a row without a vector yet gets an
    /// <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The image column is missing or of an unsuitable type.</exception>
    public IDataView Transform(IDataView input, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new BatchedScoringDataView(input, Find(input.Schema), _schema, cancellationToken);
    }

    IRowToRowMapper ITransformer.GetRowToRowMapper(DataViewSchema inputSchema) =>
        new ScoringRowMapper(inputSchema, Find(inputSchema), _schema, _shares.Take);

    void ICanSaveModel.Save(ModelSaveContext ctx) =>
        _scorer.Use(() =>
        {
            EmbeddingZip.Write(ctx, _columns, _description, _kept.Streams);
            return true;
        });

    /// <summary>Gives back one share of the model, as <see cref="ClipEmbeddingTransformer.Dispose"/> does.</summary>
    public void Dispose()
    {
        if (!_shares.GiveBack())
            return;
        _scorer.Dispose();
        _kept.Dispose();
    }

    private ScoredColumn Find(DataViewSchema schema) => ImageColumn.Find(schema, _columns.Input, _description.Reading).ScoredBy(_scorer);
}
