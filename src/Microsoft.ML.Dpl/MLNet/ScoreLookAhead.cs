using System.Runtime.ExceptionServices;
using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Scores of ascending rows, a batch at a time, over a cursor of its own in which only the scored column is active. Opened at the
/// first request.</summary>
internal sealed class ScoreLookAhead(IDataView input, ScoredColumn column, CancellationToken cancellationToken) : IDisposable
{
    private readonly List<DataViewRowId> _ids = [];
    private float[][] _scores = [];
    private long _first;
    private DataViewRowCursor? _cursor;
    private IRowBatch? _batch;
    private ValueGetter<DataViewRowId>? _id;
    private ExceptionDispatchInfo? _failure;

    /// <param name="row">Its position; never lower than that of an earlier call.</param>
    /// <param name="id">Its identity, which must be met again here.</param>
    /// <returns>What was computed of the row.</returns>
    /// <exception cref="UnreadableImageException">This row's image cannot be read.</exception>
    /// <exception cref="TextTooLongException">This row's text is to be refused.</exception>
    /// <exception cref="InvalidOperationException">The input gave other rows than to the first cursor.</exception>
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
            // The cursor may stand past rows without scores; a later request starts a new one.
            Dispose();
            throw;
        }
    }

    private void ScoreFrom(long row)
    {
        Open();
        // Rows that nobody asked for are passed without being decoded.
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
            // A row ahead of the one asked for fails only when it is asked for itself.
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
            $"At row {row} the input gave another row than before. Scoring reads its input twice side by side: give it data that "
                + "keeps its order, or put Cache before it."
        );
}
