namespace Microsoft.ML.Dpl.MLNet;

/// <summary>The input with predicted label and scores, computed in batches while a cursor is read and only when one of them is asked
/// for.</summary>
internal sealed class BatchedScoringDataView : IDataView
{
    public BatchedScoringDataView(IDataView input, ImageColumn image, ScoreSchema scores, IImageScorer scorer)
    {
        (Input, Image, Scores, Scorer) = (input, image, scores, scorer);
        Schema = scores.AppendTo(input.Schema);
    }

    public IDataView Input { get; }

    public ImageColumn Image { get; }

    public ScoreSchema Scores { get; }

    public IImageScorer Scorer { get; }

    public DataViewSchema Schema { get; }

    /// <summary>False: a cursor reads its input twice side by side and needs the same order both times.</summary>
    public bool CanShuffle => false;

    public long? GetRowCount() => Input.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        bool[] active = new bool[Schema.Count];
        foreach (DataViewSchema.Column column in columnsNeeded)
            active[column.Index] = true;
        return new ScoringCursor(this, active);
    }

    /// <summary>One cursor: forward passes use all cores by themselves.</summary>
    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];
}
