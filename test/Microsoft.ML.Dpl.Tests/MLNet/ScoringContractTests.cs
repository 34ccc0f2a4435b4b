using Microsoft.ML.Data;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Dpl.Tests.MLNet;

/// <summary>What ML.NET expects of any scoring transformer, tested with every form of input and label.</summary>
public sealed class ScoringContractTests(ImageFixture images) : IClassFixture<ImageFixture>
{
    private readonly MLContext _context = new(seed: 1);

    public static TheoryData<string, string> Inputs()
    {
        var data = new TheoryData<string, string>();
        foreach (ImageForm form in Enum.GetValues<ImageForm>())
        foreach (LabelKind kind in Enum.GetValues<LabelKind>())
            data.Add(form.ToString(), kind.ToString());
        return data;
    }

    [Theory, MemberData(nameof(Inputs))]
    public void DeliversExactlyThePromisedSchema(string form, string kind)
    {
        (IDataView view, FakeScorer scorer) = Input(form, kind);
        var estimator = new FakeEstimator(scorer);
        SchemaShape promised = estimator.GetOutputSchema(MLNetInternals.ShapeOf(view.Schema));
        FakeTransformer transformer = estimator.Fit(view);
        DataViewSchema delivered = transformer.Transform(view).Schema;
        SchemaAssert.Equal(promised, MLNetInternals.ShapeOf(delivered));
        SchemaAssert.Equal(delivered, transformer.GetOutputSchema(view.Schema));
        SchemaAssert.Equal(delivered, ((ITransformer)transformer).GetRowToRowMapper(view.Schema).OutputSchema);
    }

    [Theory, MemberData(nameof(Inputs))]
    public void RowMapperGivesWhatTheCursorGives(string form, string kind)
    {
        (IDataView view, FakeScorer scorer) = Input(form, kind);
        FakeTransformer transformer = new FakeEstimator(scorer).Fit(view);
        List<Scored> byCursor = Read(transformer.Transform(view));
        Assert.Equal(60, byCursor.Count);
        Assert.All(byCursor, r => Assert.Equal(FakeScorer.Classes[r.Id % 3], r.Predicted));
        Assert.Equal(8, scorer.Forwards);
        Assert.Equal(60, scorer.Images);

        IRowToRowMapper mapper = ((ITransformer)transformer).GetRowToRowMapper(view.Schema);
        using DataViewRowCursor cursor = view.GetRowCursor(mapper.GetDependencies(mapper.OutputSchema));
        using DataViewRow row = mapper.GetRow(cursor, mapper.OutputSchema);
        RowReader read = new(row);
        foreach (Scored expected in byCursor)
        {
            Assert.True(cursor.MoveNext());
            Scored found = read.Read();
            Assert.Equal(expected.Id, found.Id);
            Assert.Equal(expected.Predicted, found.Predicted);
            Assert.Equal(expected.Scores, found.Scores);
        }
        Assert.Equal(8 + 60, scorer.Forwards);
    }

    [Theory, MemberData(nameof(Inputs))]
    public void EverySubsetOfActiveColumnsReadsTheSame(string form, string kind)
    {
        (IDataView view, FakeScorer scorer) = Input(form, kind, count: 5);
        IDataView scored = new FakeEstimator(scorer).Fit(view).Transform(view);
        string[] columns = ["Id", "Path", "PredictedLabel", "Score"];
        List<Scored> all = Read(scored);
        for (int subset = 0; subset < 1 << columns.Length; subset++)
        {
            var active = scored.Schema.Where(c => Array.IndexOf(columns, c.Name) is >= 0 and int i && (subset >> i & 1) == 1).ToList();
            int before = scorer.Forwards;
            using DataViewRowCursor cursor = scored.GetRowCursor(active);
            Assert.All(scored.Schema, c => Assert.Equal(active.Any(a => a.Index == c.Index), cursor.IsColumnActive(c)));
            foreach (DataViewSchema.Column column in scored.Schema.Where(c => !cursor.IsColumnActive(c)))
                Assert.ThrowsAny<Exception>(() => cursor.GetGetter<uint>(column));
            RowReader read = new(cursor);
            foreach (Scored expected in all)
            {
                Assert.True(cursor.MoveNext());
                Scored found = read.Read();
                if (active.Any(c => c.Name == "Id"))
                    Assert.Equal(expected.Id, found.Id);
                if (active.Any(c => c.Name == "PredictedLabel"))
                    Assert.Equal(expected.Predicted, found.Predicted);
                if (active.Any(c => c.Name == "Score"))
                    Assert.Equal(expected.Scores, found.Scores);
            }
            Assert.False(cursor.MoveNext());
            Assert.Equal(subset >> 2 == 0 ? 0 : 1, scorer.Forwards - before);
        }
    }

    [Theory, MemberData(nameof(Inputs))]
    public void InterleavedCursorsDoNotDisturbEachOther(string form, string kind)
    {
        (IDataView view, FakeScorer scorer) = Input(form, kind);
        IDataView scored = new FakeEstimator(scorer).Fit(view).Transform(view);
        using DataViewRowCursor first = scored.GetRowCursor(scored.Schema),
            second = scored.GetRowCursor(scored.Schema);
        RowReader readFirst = new(first),
            readSecond = new(second);
        for (int i = 0; i < 60; i++)
        {
            Assert.True(first.MoveNext());
            Scored a = readFirst.Read();
            Assert.Equal(FakeScorer.Classes[a.Id % 3], a.Predicted);
            if (i % 3 != 0)
                continue;
            Assert.True(second.MoveNext());
            Scored b = readSecond.Read();
            Assert.Equal((i / 3, FakeScorer.Classes[i / 3 % 3]), (b.Id, b.Predicted));
        }
    }

    [Theory, MemberData(nameof(Inputs))]
    public void TransformsBeforeAndAfterKeepScoresWithTheirRows(string form, string kind)
    {
        (IDataView view, FakeScorer scorer) = Input(form, kind);
        FakeTransformer transformer = new FakeEstimator(scorer).Fit(view);
        DataOperationsCatalog data = _context.Data;
        Check(data.TakeRows(transformer.Transform(view), 5), 5);
        Check(data.SkipRows(transformer.Transform(view), 50), 10);
        Check(data.FilterRowsByColumn(transformer.Transform(view), "Id", 10, 30), 20);
        Check(data.ShuffleRows(transformer.Transform(view), seed: 3), 60);
        Check(data.Cache(transformer.Transform(view), "Id", "PredictedLabel", "Score"), 60);
        Check(transformer.Transform(data.TakeRows(view, 5)), 5);
        Check(transformer.Transform(data.FilterRowsByColumn(view, "Id", 10, 30)), 20);
        if (form == nameof(ImageForm.Image))
            return; // ML.NET can neither cache nor shuffle images.
        Check(transformer.Transform(data.ShuffleRows(view, seed: 3)), 60);
        Check(transformer.Transform(data.Cache(view)), 60);

        static void Check(IDataView scored, int count)
        {
            List<Scored> rows = Read(scored);
            Assert.Equal(count, rows.Count);
            Assert.All(rows, r => Assert.Equal(FakeScorer.Classes[r.Id % 3], r.Predicted));
        }
    }

    [Theory, MemberData(nameof(Inputs))]
    public void AnotherTypeThanTheColumnsIsRefused(string form, string kind)
    {
        (IDataView view, FakeScorer scorer) = Input(form, kind, count: 3);
        IDataView scored = new FakeEstimator(scorer).Fit(view).Transform(view);
        using DataViewRowCursor cursor = scored.GetRowCursor(scored.Schema);
        Assert.Contains(
            "'Score'",
            Assert.Throws<InvalidOperationException>(() => cursor.GetGetter<double>(scored.Schema["Score"])).Message
        );
    }

    [Fact]
    public void EvaluateNamesTheClassesOfKeyLabels()
    {
        (IDataView view, FakeScorer scorer) = Input(nameof(ImageForm.Path), nameof(LabelKind.Key));
        IDataView scored = new FakeEstimator(scorer).Fit(view).Transform(view);
        MulticlassClassificationMetrics metrics = _context.MulticlassClassification.Evaluate(scored);
        Assert.Equal(1, metrics.MicroAccuracy);
        string table = metrics.ConfusionMatrix.GetFormattedConfusionTable();
        Assert.All(FakeScorer.Classes, name => Assert.Contains(name, table));
    }

    [Fact]
    public void TextLabelsCanBeEvaluatedAsKeysOrderedByValue()
    {
        (IDataView view, FakeScorer scorer) = Input(nameof(ImageForm.Path), nameof(LabelKind.Text));
        IDataView scored = new FakeEstimator(scorer).Fit(view).Transform(view);
        Assert.ThrowsAny<ArgumentException>(() => _context.MulticlassClassification.Evaluate(scored));
        // Evaluate compares key values, so the keys must be in the order of the scores.
        IDataView keyed = _context
            .Transforms.Conversion.MapValueToKey("Label", keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            .Fit(scored)
            .Transform(scored);
        Assert.Equal(1, _context.MulticlassClassification.Evaluate(keyed).MicroAccuracy);
    }

    [Fact]
    public void CrossValidateWorks()
    {
        (IDataView view, FakeScorer scorer) = Input(nameof(ImageForm.Path), nameof(LabelKind.Key));
        var folds = _context.MulticlassClassification.CrossValidate(view, new Widened(new FakeEstimator(scorer)), numberOfFolds: 3);
        Assert.All(folds, f => Assert.Equal(1, f.Metrics.MicroAccuracy));
    }

    [Fact]
    public void TwoScorersInARowHaveColumnSetsOfTheirOwn()
    {
        (IDataView view, FakeScorer scorer) = Input(nameof(ImageForm.Path), nameof(LabelKind.Key));
        FakeTransformer transformer = new FakeEstimator(scorer).Fit(view);
        DataViewSchema schema = transformer.Transform(transformer.Transform(view)).Schema;
        uint[] sets = schema
            .Where(c => c.Name == "Score")
            .Select(c =>
            {
                uint set = 0;
                c.Annotations.GetValue("ScoreColumnSetId", ref set);
                return set;
            })
            .ToArray();
        Assert.Equal([1u, 2u], sets);
    }

    [Fact]
    public void PromisesNoLessThanMLNetsOwnTrainers()
    {
        (IDataView view, FakeScorer scorer) = Input(nameof(ImageForm.Path), nameof(LabelKind.Key));
        SchemaShape input = MLNetInternals.ShapeOf(
            _context.Transforms.Concatenate("Features", "Number").Fit(WithNumber(view)).Transform(WithNumber(view)).Schema
        );
        SchemaShape theirs = _context.MulticlassClassification.Trainers.NaiveBayes().GetOutputSchema(input);
        SchemaShape ours = new FakeEstimator(scorer).GetOutputSchema(input);
        foreach (string name in new[] { "PredictedLabel", "Score" })
        {
            SchemaShape.Column their = theirs.Single(c => c.Name == name),
                our = ours.Single(c => c.Name == name);
            Assert.Equal((their.Kind, their.ItemType, their.IsKey), (our.Kind, our.ItemType, our.IsKey));
            Assert.All(their.Annotations, a =>
                Assert.Contains(our.Annotations, o => (o.Name, o.Kind, o.ItemType, o.IsKey) == (a.Name, a.Kind, a.ItemType, a.IsKey))
            );
        }

        IDataView WithNumber(IDataView v) =>
            _context.Transforms.Conversion.ConvertType("Number", "Id", DataKind.Single).Fit(v).Transform(v);
    }

    private (IDataView View, FakeScorer Scorer) Input(string form, string kind, int count = 60) =>
        (images.View(_context, Enum.Parse<ImageForm>(form), Enum.Parse<LabelKind>(kind), count), new FakeScorer());

    private static List<Scored> Read(IDataView view)
    {
        var rows = new List<Scored>();
        using DataViewRowCursor cursor = view.GetRowCursor(view.Schema.Where(c => c.Name is "Id" or "PredictedLabel" or "Score"));
        RowReader reader = new(cursor);
        while (cursor.MoveNext())
            rows.Add(reader.Read());
        return rows;
    }

    /// <summary><c>CrossValidate</c> requires an <see cref="IEstimator{TTransformer}"/> of <see cref="ITransformer"/>.</summary>
    private sealed class Widened(FakeEstimator inner) : IEstimator<ITransformer>
    {
        public ITransformer Fit(IDataView input) => inner.Fit(input);

        public SchemaShape GetOutputSchema(SchemaShape inputSchema) => inner.GetOutputSchema(inputSchema);
    }
}
