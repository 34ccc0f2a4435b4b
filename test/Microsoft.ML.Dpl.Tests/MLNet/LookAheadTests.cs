using Microsoft.ML.Data;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;

namespace Microsoft.ML.Dpl.Tests.MLNet;

/// <summary>How much work scoring does, and what happens when rows read ahead fail.</summary>
public sealed class LookAheadTests(ImageFixture images) : IClassFixture<ImageFixture>
{
    private readonly MLContext _context = new(seed: 1);
    private readonly FakeScorer _scorer = new(batchSize: 8);

    [Theory]
    [InlineData(1, 60)]
    [InlineData(8, 8)]
    [InlineData(60, 1)]
    [InlineData(64, 1)]
    public void BatchesAreFull(int batchSize, int forwards)
    {
        var scorer = new FakeScorer(batchSize);
        IDataView scored = Score(View(), scorer);
        Assert.Equal(60, scored.GetColumn<float[]>("Score").Count());
        Assert.Equal((forwards, 60), (scorer.Forwards, scorer.Images));
    }

    [Fact]
    public void OtherColumnsCostNoForwardPass()
    {
        var counted = new CountingView(View());
        IDataView scored = Score(counted, _scorer);
        int before = counted.Cursors;
        Assert.Equal(60, scored.GetColumn<float>("Id").Count());
        Assert.Equal((0, 1), (_scorer.Forwards, counted.Cursors - before));
        using DataViewRowCursor cursor = scored.GetRowCursor(scored.Schema);
        ValueGetter<VBuffer<float>> get = cursor.GetGetter<VBuffer<float>>(scored.Schema["Score"]);
        while (cursor.MoveNext()) { }
        Assert.Equal((0, 2), (_scorer.Forwards, counted.Cursors - before));
    }

    [Fact]
    public void RowsThatNobodyAsksForAreNotDecoded()
    {
        IDataView scored = Score(View(), _scorer);
        using DataViewRowCursor cursor = scored.GetRowCursor(scored.Schema);
        RowReader read = new(cursor);
        while (cursor.MoveNext())
        {
            if (cursor.Position < 52)
                continue;
            Scored row = read.Read();
            Assert.Equal(FakeScorer.Classes[row.Id % 3], row.Predicted);
        }
        Assert.Equal((1, 8), (_scorer.Forwards, _scorer.Images));
    }

    [Fact]
    public void CancelledScoringEndsBeforeTheNextBatchAndLeavesOtherColumnsAlone()
    {
        using var cancellation = new CancellationTokenSource();
        _scorer.OnScore = cancellation.Cancel;
        IDataView scored = Transformer(_scorer).Transform(View(), cancellation.Token);
        using DataViewRowCursor cursor = scored.GetRowCursor(scored.Schema);
        RowReader read = new(cursor);
        // Rows that were already scored are still returned.
        for (int row = 0; row < 8; row++)
        {
            Assert.True(cursor.MoveNext());
            read.Read();
        }
        Assert.True(cursor.MoveNext());
        Assert.ThrowsAny<OperationCanceledException>(() => read.Read());
        Assert.Equal((1, 8), (_scorer.Forwards, _scorer.Images));
        Assert.Equal(60, scored.GetColumn<float>("Id").Count());
    }

    [Fact]
    public void ABrokenImageAheadFailsOnlyAtItsOwnRow()
    {
        string[] paths = [.. images.Paths[..10]];
        paths[5] = Path.Combine(images.Folder, "missing.png");
        IDataView view = _context.Data.LoadFromEnumerable(
            paths.Select(
                (p, i) =>
                    new
                    {
                        Id = (float)i,
                        Image = p,
                        Label = FakeScorer.Classes[i % 3],
                    }
            )
        );
        IDataView scored = Score(view, _scorer);
        using DataViewRowCursor cursor = scored.GetRowCursor(scored.Schema);
        RowReader read = new(cursor);
        for (int i = 0; i < 10; i++)
        {
            Assert.True(cursor.MoveNext());
            if (i != 5)
            {
                Assert.Equal(FakeScorer.Classes[i % 3], read.Read().Predicted);
                continue;
            }
            for (int again = 0; again < 2; again++)
            {
                var error = Assert.Throws<UnreadableImageException>(() => read.Read());
                Assert.Contains("Row 5", error.Message);
                Assert.Contains("missing.png", error.Message);
            }
        }
        Assert.Equal(5, scored.GetColumn<float[]>("Score").Take(5).Count());
    }

    [Fact]
    public void AFailedForwardPassCanBeTriedAgain()
    {
        IDataView scored = Score(View(), _scorer);
        using DataViewRowCursor cursor = scored.GetRowCursor(scored.Schema);
        RowReader read = new(cursor);
        for (int i = 0; i < 60; i++)
        {
            Assert.True(cursor.MoveNext());
            _scorer.OnScore = i == 8 ? () => throw new OperationCanceledException() : () => { };
            if (i == 8)
                Assert.Throws<OperationCanceledException>(() => read.Read());
            else
                Assert.Equal((i, FakeScorer.Classes[i % 3]), (read.Read().Id, read.Read().Predicted));
        }
    }

    [Fact]
    public void UnseededShufflingBeforeScoringKeepsScoresWithTheirRows()
    {
        IDataView scored = Score(new MLContext().Data.ShuffleRows(View()), _scorer);
        using DataViewRowCursor cursor = scored.GetRowCursor(scored.Schema);
        RowReader read = new(cursor);
        while (cursor.MoveNext())
        {
            Scored row = read.Read();
            Assert.Equal(FakeScorer.Classes[row.Id % 3], row.Predicted);
        }
    }

    [Fact]
    public void AnInputThatChangesItsOrderIsNoticed()
    {
        IDataView scored = Score(new CountingView(View()) { ShuffleFrom = 2 }, _scorer);
        using DataViewRowCursor cursor = scored.GetRowCursor(scored.Schema);
        RowReader read = new(cursor);
        Assert.True(cursor.MoveNext());
        var error = Assert.Throws<InvalidOperationException>(() => read.Read());
        Assert.Contains("Cache", error.Message);
    }

    [Fact]
    public void AnInputThatEndsEarlierTheSecondTimeIsNoticed()
    {
        int passes = 0;
        IEnumerable<ImageFixture.Row> Rows()
        {
            int count = ++passes == 1 ? 12 : 9;
            for (int i = 0; i < count; i++)
                yield return new ImageFixture.Row { Id = i, Path = images.Paths[i] };
        }
        IDataView view = _context.Data.LoadFromEnumerable(new Reiterated<ImageFixture.Row>(Rows));
        view = _context.Transforms.CopyColumns("Image", "Path").Fit(view).Transform(view);
        IDataView scored = Transformer(_scorer).Transform(view);
        using DataViewRowCursor cursor = scored.GetRowCursor(scored.Schema);
        RowReader read = new(cursor);
        cursor.MoveNext();
        read.Read();
        for (int i = 1; i <= 9; i++)
            cursor.MoveNext();
        Assert.Contains("Row 9", Assert.Throws<InvalidOperationException>(() => read.Read()).Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void CursorsOnManyThreadsShareOneScorer()
    {
        IDataView scored = Score(View(), _scorer);
        Parallel.For(0, 8, _ =>
            Assert.Equal(Enumerable.Range(0, 60).Select(i => (uint)(i % 3 + 1)), scored.GetColumn<uint>("PredictedLabel"))
        );
        Assert.Equal(8 * 60, _scorer.Images);
    }

    [Fact]
    public void AScoreThatIsNotANumberNeverWins()
    {
        Assert.Equal(-1, ScoreGetters.Best([0.2f, float.NaN, 0.8f]));
        Assert.Equal(-1, ScoreGetters.Best([float.NaN, 0.2f]));
        Assert.Equal(1, ScoreGetters.Best([0.2f, 0.4f, 0.4f]));
    }

    private IDataView View() => images.View(_context, ImageForm.Path, LabelKind.Key);

    private static FakeTransformer Transformer(FakeScorer scorer) =>
        new(
            new ModelColumns(
                "Image",
                "PredictedLabel",
                "Score",
                scorer.BatchSize,
                new LabelClasses(LabelKind.Key, FakeScorer.Classes, TextDataViewType.Instance, "test")
            ),
            scorer
        );

    private static IDataView Score(IDataView view, FakeScorer scorer) => Transformer(scorer).Transform(view);

    private sealed class Reiterated<T>(Func<IEnumerable<T>> start) : IEnumerable<T>
    {
        public IEnumerator<T> GetEnumerator() => start().GetEnumerator();

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
    }

    /// <summary>A view that counts its cursors, and shuffles from cursor number <see cref="ShuffleFrom"/> on.</summary>
    private sealed class CountingView(IDataView inner) : IDataView
    {
        public int Cursors { get; private set; }

        public int ShuffleFrom { get; init; } = int.MaxValue;

        public bool CanShuffle => false;

        public DataViewSchema Schema => inner.Schema;

        public long? GetRowCount() => inner.GetRowCount();

        public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null) =>
            (++Cursors >= ShuffleFrom ? new MLContext().Data.ShuffleRows(inner, seed: Cursors) : inner).GetRowCursor(columnsNeeded);

        public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
            [GetRowCursor(columnsNeeded, rand)];
    }
}
