using System.Runtime.ExceptionServices;
using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Scores of ascending rows, a batch at a time, over a cursor of its own in which only the image column is active. Opened at the
/// first request.</summary>
internal sealed class ScoreLookAhead(IDataView input, ImageColumn image, IImageScorer scorer, CancellationToken cancellationToken)
    : IDisposable
{
    private readonly List<DataViewRowId> _ids = [];
    private float[][] _scores = [];
    private long _first;
    private DataViewRowCursor? _cursor;
    private ImageReader? _reader;
    private ValueGetter<DataViewRowId>? _id;
    private ExceptionDispatchInfo? _failure;

    /// <param name="row">Its position; never lower than that of an earlier call.</param>
    /// <param name="id">Its identity, which must be met again here.</param>
    /// <returns>Probabilities, [classes].</returns>
    /// <exception cref="UnreadableImageException">This row's image cannot be read.</exception>
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
        catch (Exception e) when (e is not UnreadableImageException)
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
        var prepared = new List<byte[]>();
        do
        {
            cancellationToken.ThrowIfCancellationRequested();
            // A row ahead of the one asked for fails only when it is asked for itself.
            if (!TryPrepare(prepared))
                break;
        } while (prepared.Count < scorer.BatchSize && _cursor.MoveNext());
        if (prepared.Count == 0)
            _failure!.Throw();
        cancellationToken.ThrowIfCancellationRequested();
        _scores = scorer.Score(prepared);
    }

    private bool TryPrepare(List<byte[]> prepared)
    {
        try
        {
            prepared.Add(scorer.Prepare(_reader!.Read()));
        }
        catch (UnreadableImageException e)
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
        _cursor = input.GetRowCursor([input.Schema[image.Column.Index]]);
        _reader = image.CreateReader(_cursor);
        _id = _cursor.GetIdGetter();
    }

    private static InvalidOperationException InputChanged(long row) =>
        new(
            $"At row {row} the input gave another row than before. Scoring reads its input twice side by side: give it data that "
                + "keeps its order, or put Cache before it."
        );
}
