using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Scores one row at a time; what <c>PredictionEngine</c> runs on.</summary>
internal sealed class ScoringRowMapper : IRowToRowMapper
{
    private readonly ImageColumn _image;
    private readonly ScoreSchema _scores;
    private readonly IImageScorer _scorer;
    private readonly Action? _opened;

    /// <param name="input">The input's columns.</param>
    /// <param name="image">The column with the images.</param>
    /// <param name="scores">The columns that are added.</param>
    /// <param name="scorer">What computes them; not owned.</param>
    /// <param name="opened">Called for each row that is handed out, which is once for each engine.</param>
    public ScoringRowMapper(DataViewSchema input, ImageColumn image, ScoreSchema scores, IImageScorer scorer, Action? opened = null)
    {
        (InputSchema, _image, _scores, _scorer, _opened) = (input, image, scores, scorer, opened);
        OutputSchema = scores.AppendTo(input);
    }

    public DataViewSchema InputSchema { get; }

    public DataViewSchema OutputSchema { get; }

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns)
    {
        bool[] needed = new bool[InputSchema.Count];
        foreach (DataViewSchema.Column column in dependingColumns)
            needed[column.Index < InputSchema.Count ? column.Index : _image.Column.Index] = true;
        return InputSchema.Where(c => needed[c.Index]);
    }

    /// <param name="input">A row of <see cref="InputSchema"/>; disposed with the returned row.</param>
    /// <param name="activeColumns">Columns of <see cref="OutputSchema"/> that will be read.</param>
    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        if (input.Schema != InputSchema)
            throw new ArgumentException("The row is not of the schema that this mapper was made for.", nameof(input));
        bool[] active = new bool[OutputSchema.Count];
        foreach (DataViewSchema.Column column in activeColumns)
            active[column.Index] = true;
        _opened?.Invoke();
        return new ScoredRow(this, input, active);
    }

    /// <summary>The input row with scores that are computed once per position.</summary>
    private sealed class ScoredRow(ScoringRowMapper mapper, DataViewRow input, bool[] active) : DataViewRow
    {
        private ImageReader? _reader;
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
                : ScoreGetters.Create<TValue>(mapper._scores, Schema[column.Index], CurrentScores);
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
                _reader ??= mapper._image.CreateReader(input);
                _scores = mapper._scorer.Score([mapper._scorer.Prepare(_reader.Read())])[0];
                _scoredPosition = input.Position;
            }
            return _scores;
        }
    }
}
