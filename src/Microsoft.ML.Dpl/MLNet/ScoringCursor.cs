using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Passes the input's columns through and takes scores from a second cursor that runs ahead in batches.</summary>
internal sealed class ScoringCursor : DataViewRowCursor
{
    private readonly BatchedScoringDataView _view;
    private readonly bool[] _active;
    private readonly DataViewRowCursor _main;
    private readonly ScoreLookAhead? _scores;
    private readonly ValueGetter<DataViewRowId>? _id;

    public ScoringCursor(BatchedScoringDataView view, bool[] active)
    {
        (_view, _active) = (view, active);
        _main = view.Input.GetRowCursor(view.Input.Schema.Where(c => active[c.Index]));
        if (!active.AsSpan(view.Input.Schema.Count).Contains(true))
            return;
        _scores = new ScoreLookAhead(view.Input, view.Column, view.CancellationToken);
        _id = _main.GetIdGetter();
    }

    public override DataViewSchema Schema => _view.Schema;

    public override long Position => _main.Position;

    public override long Batch => _main.Batch;

    public override ValueGetter<DataViewRowId> GetIdGetter() => _main.GetIdGetter();

    public override bool IsColumnActive(DataViewSchema.Column column) => _active[column.Index];

    public override bool MoveNext() => _main.MoveNext();

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (!_active[column.Index])
            throw new InvalidOperationException($"Column '{column.Name}' is not active in this cursor.");
        return column.Index < _view.Input.Schema.Count
            ? _main.GetGetter<TValue>(_view.Input.Schema[column.Index])
            : _view.Added.CreateGetter<TValue>(Schema[column.Index], CurrentScores);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _scores?.Dispose();
            _main.Dispose();
        }
        base.Dispose(disposing);
    }

    private float[] CurrentScores()
    {
        if (_main.Position < 0)
            throw new InvalidOperationException("The cursor is not positioned at a row: call MoveNext first.");
        DataViewRowId id = default;
        _id!(ref id);
        return _scores!.At(_main.Position, id);
    }
}
