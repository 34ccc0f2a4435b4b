namespace Microsoft.ML.Dpl.MLNet;

/// <summary>The input with columns that are computed in batches while a cursor is read, and only when one of them is asked for.</summary>
internal sealed class BatchedScoringDataView : UnconvertedView
{
    /// <param name="input">The rows.</param>
    /// <param name="column">What is computed of which column; not owned.</param>
    /// <param name="added">The columns that are added.</param>
    /// <param name="cancellationToken">Ends what cursors compute, before the next row and before the next batch.</param>
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

    /// <summary>False: a cursor reads its input twice side by side and needs the same order both times.</summary>
    public override bool CanShuffle => false;

    public override long? GetRowCount() => Input.GetRowCount();

    public override DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        bool[] active = new bool[Schema.Count];
        foreach (DataViewSchema.Column column in columnsNeeded)
            active[column.Index] = true;
        return new ScoringCursor(this, active);
    }

    /// <summary>One cursor: forward passes use all cores by themselves.</summary>
    public override DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];
}
