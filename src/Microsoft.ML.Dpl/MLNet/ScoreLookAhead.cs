using System.Runtime.ExceptionServices;
using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Computes the scores of rows in ascending order, in batches, with its own cursor in which only the scored column is active. The
/// cursor is opened at the first request.</summary>
internal sealed class ScoreLookAhead(IDataView input, ScoredColumn column, CancellationToken cancellationToken) : IDisposable
{
    private readonly List<DataViewRowId> _ids = [];
    private float[][] _scores = [];
    private long _first;
    private DataViewRowCursor? _cursor;
    private IRowBatch? _batch;
    private ValueGetter<DataViewRowId>? _id;
    private ExceptionDispatchInfo? _failure;

    /// <param name="row">The row's position; never lower than in an earlier call.</param>
    /// <param name="id">The row's id, which must match the id in this object's cursor.</param>
    /// <returns>The numbers computed for the row.</returns>
    /// <exception cref="UnreadableImageException">This row's image cannot be read.</exception>
    /// <exception cref="TextTooLongException">This row's text is too long and is to be rejected.</exception>
    /// <exception cref="InvalidOperationException">The input returned different rows than to the first cursor.</exception>
    /// <exception cref="OperationCanceledException">Cancelled before the row's batch was scored.</exception>
    public float[] At(long row, DataViewRowId id)
    {
        if (row >= _first + _scores.Length)
            Advance(row);
        int index = (int)(row - _first);
        return _ids[index].Equals(id) ? _scores[index] : throw InputChanged(row);
    }

    public void Dispose()
    {
        _cursor?.Dispose();
        (_cursor, _failure) = (null, null);
    }

    private void Advance(long row)
    {
        try
        {
            ScoreFrom(row);
        }
        catch (Exception e) when (!IsOfTheRow(e))
        {
            // The cursor may already be past rows that have no scores, so a later request starts with a new cursor.
            Dispose();
            throw;
        }
    }

    private void ScoreFrom(long row)
    {
        Open();
        // Rows that were not requested are skipped without being decoded.
        while (_cursor!.Position < row)
        {
            if (!_cursor.MoveNext())
                throw InputChanged(row);
            _failure = null;
        }
        _failure?.Throw();

        (_first, _scores) = (row, []);
        _ids.Clear();
        do
        {
            cancellationToken.ThrowIfCancellationRequested();
            // The failure of a row read ahead is reported only when that row is requested.
            if (!TryPrepare())
                break;
        } while (_batch!.Count < column.BatchSize && _cursor.MoveNext());
        if (_batch!.Count == 0)
            _failure!.Throw();
        cancellationToken.ThrowIfCancellationRequested();
        _scores = _batch.Score();
    }

    private bool TryPrepare()
    {
        try
        {
            _batch!.Add();
        }
        catch (Exception e) when (IsOfTheRow(e))
        {
            _failure = ExceptionDispatchInfo.Capture(e);
            return false;
        }
        DataViewRowId id = default;
        _id!(ref id);
        _ids.Add(id);
        return true;
    }

    private void Open()
    {
        if (_cursor is not null)
            return;
        _cursor = input.GetRowCursor([input.Schema[column.Column.Index]]);
        _batch = column.Open(_cursor);
        _id = _cursor.GetIdGetter();
    }

    private static bool IsOfTheRow(Exception e) => e is UnreadableImageException or TextTooLongException;

    private static InvalidOperationException InputChanged(long row) =>
        new(
            $"At row {row} the input gave a different row than before. Scoring reads its input twice side by side: use data whose order "
                + "does not change, or cache it first with Data.Cache."
        );
}
