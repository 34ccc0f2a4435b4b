using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Scores one row at a time, for <c>PredictionEngine</c>.</summary>
internal sealed class ScoringRowMapper : IRowToRowMapper
{
    private readonly ScoredColumn _column;
    private readonly IAddedColumns _added;
    private readonly Action? _opened;

    /// <param name="input">The input's columns.</param>
    /// <param name="column">The input column and the computation on it; not owned.</param>
    /// <param name="added">The added columns.</param>
    /// <param name="opened">Called for each returned row, which is once per prediction engine.</param>
    public ScoringRowMapper(DataViewSchema input, ScoredColumn column, IAddedColumns added, Action? opened = null)
    {
        (InputSchema, _column, _added, _opened) = (input, column, added, opened);
        OutputSchema = added.AppendTo(input);
    }

    public DataViewSchema InputSchema { get; }

    public DataViewSchema OutputSchema { get; }

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns)
    {
        bool[] needed = new bool[InputSchema.Count];
        foreach (DataViewSchema.Column column in dependingColumns)
            needed[column.Index < InputSchema.Count ? column.Index : _column.Column.Index] = true;
        return InputSchema.Where(c => needed[c.Index]);
    }

    /// <param name="input">A row of <see cref="InputSchema"/>; disposed with the returned row.</param>
    /// <param name="activeColumns">Columns of <see cref="OutputSchema"/> that will be read.</param>
    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        if (input.Schema != InputSchema)
            throw new ArgumentException("The row's schema is not the one that this mapper was created for.", nameof(input));
        bool[] active = new bool[OutputSchema.Count];
        foreach (DataViewSchema.Column column in activeColumns)
            active[column.Index] = true;
        _opened?.Invoke();
        return new ScoredRow(this, input, active);
    }

    /// <summary>The input row plus scores, computed once per position.</summary>
    private sealed class ScoredRow(ScoringRowMapper mapper, DataViewRow input, bool[] active) : DataViewRow
    {
        private IRowBatch? _batch;
        private float[] _scores = [];
        private long _scoredPosition = -1;

        public override DataViewSchema Schema => mapper.OutputSchema;

        public override long Position => input.Position;

        public override long Batch => input.Batch;

        public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();

        public override bool IsColumnActive(DataViewSchema.Column column) =>
            active[column.Index] && (column.Index >= mapper.InputSchema.Count || input.IsColumnActive(mapper.InputSchema[column.Index]));

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
        {
            if (!IsColumnActive(column))
                throw new InvalidOperationException($"Column '{column.Name}' is not active in this row.");
            return column.Index < mapper.InputSchema.Count
                ? input.GetGetter<TValue>(mapper.InputSchema[column.Index])
                : mapper._added.CreateGetter<TValue>(Schema[column.Index], CurrentScores);
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                input.Dispose();
            base.Dispose(disposing);
        }

        private float[] CurrentScores()
        {
            if (_scoredPosition != input.Position)
            {
                _batch ??= mapper._column.Open(input);
                _batch.Add();
                _scores = _batch.Score()[0];
                _scoredPosition = input.Position;
            }
            return _scores;
        }
    }
}
