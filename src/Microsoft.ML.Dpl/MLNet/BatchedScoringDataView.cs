namespace Microsoft.ML.Dpl.MLNet;

/// <summary>The input plus columns that are computed lazily, in batches, while a cursor moves, and only if one of them is active.</summary>
internal sealed class BatchedScoringDataView : UnconvertedView
{
    /// <param name="input">The input data.</param>
    /// <param name="column">The input column and the computation on it; not owned.</param>
    /// <param name="added">The added columns.</param>
    /// <param name="cancellationToken">Cancels the cursors' computation; checked before each row and each batch.</param>
    public BatchedScoringDataView(IDataView input, ScoredColumn column, IAddedColumns added, CancellationToken cancellationToken = default)
        : base(input)
    {
        (Input, Column, Added, CancellationToken) = (input, column, added, cancellationToken);
        Schema = added.AppendTo(input.Schema);
    }

    public IDataView Input { get; }

    public ScoredColumn Column { get; }

    public IAddedColumns Added { get; }

    public CancellationToken CancellationToken { get; }

    public override DataViewSchema Schema { get; }

    /// <summary>False, because a cursor reads its input twice in parallel and needs the same order both times.</summary>
    public override bool CanShuffle => false;

    public override long? GetRowCount() => Input.GetRowCount();

    public override DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        bool[] active = new bool[Schema.Count];
        foreach (DataViewSchema.Column column in columnsNeeded)
            active[column.Index] = true;
        return new ScoringCursor(this, active);
    }

    /// <summary>Returns a single cursor, because a forward pass already uses all cores.</summary>
    public override DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];
}
