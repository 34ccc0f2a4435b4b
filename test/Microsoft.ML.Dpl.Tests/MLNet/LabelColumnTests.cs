using Microsoft.ML.Data;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Dpl.Tests.MLNet;

/// <summary>Classes and class indices from key and text labels.</summary>
public sealed class LabelColumnTests
{
    private readonly MLContext _context = new(seed: 1);

    [Fact]
    public void KeyLabelsKeepTheOrderAndNumberOfTheirValues()
    {
        IDataView view = Key(Text("b", "a", "b"), "d", "c", "b", "a");
        LabelClasses classes = Classes(view);
        Assert.Equal(["d", "c", "b", "a"], classes.Names);
        Assert.Equal([2, 3, 2], Indices(view, classes));
    }

    [Fact]
    public void TextLabelsAreInOrdinalOrderWhateverTheRowsOrder()
    {
        LabelClasses classes = Classes(Text("b", "a", "B", "b"));
        Assert.Equal(["B", "a", "b"], classes.Names);
        Assert.Equal(LabelKind.Text, classes.Kind);
        Assert.Equal([2, 1, 0, 2], Indices(Text("b", "a", "B", "b"), classes));
        Assert.Equal(classes.Names, Classes(Text("a", "b", "b", "B")).Names);
    }

    [Fact]
    public void NamesInTwoFormsOfUnicodeAreOneClassAsTextAndRefusedAsKeys()
    {
        const string composed = "Bl\u00fcte",
            decomposed = "Blu\u0308te";
        IDataView text = Text(decomposed, "leaf", composed);
        LabelClasses classes = Classes(text);
        Assert.Equal([composed, "leaf"], classes.Names);
        Assert.Equal([0, 1, 0], Indices(text, classes));
        Assert.Equal([0], Indices(Key(Text(decomposed), decomposed, "leaf"), classes));
        Assert.Equal(0, classes.IndexOf(decomposed));
        Assert.Contains(
            "composes",
            Assert.Throws<InvalidOperationException>(() => Classes(Key(Text("leaf"), decomposed, composed, "leaf"))).Message
        );
        Assert.Contains("occurs twice", Assert.Throws<InvalidOperationException>(() => classes.WithNames([composed, decomposed])).Message);
        Assert.Equal(2, new ClassWeights(new Dictionary<string, double> { [decomposed] = 2 }).Named![composed]);
    }

    [Fact]
    public void TextLabelsHaveTheOrderOfKeysByValue()
    {
        IDataView text = Text("b", "a", "B", "é", "10", "9", "a b", "_", "Ab");
        IDataView keys = _context
            .Transforms.Conversion.MapValueToKey("Label", keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            .Fit(text)
            .Transform(text);
        Assert.Equal(Classes(keys).Names, Classes(text).Names);
    }

    [Fact]
    public void KeysWithoutValuesAreNamedByTheNumbersInTheData()
    {
        IDataView view = _context.Data.LoadFromEnumerable(
            new[]
            {
                new Numbered { Label = 3 },
                new Numbered { Label = 1 },
            }
        );
        Assert.False(LabelColumn.Find(view.Schema, "Label").IsNamed);
        LabelClasses classes = Classes(view);
        Assert.Equal(["0", "1", "2", "3"], classes.Names);
        Assert.Equal([3, 1], Indices(view, classes));
    }

    [Fact]
    public void AKeyAsWideAsItsTypeIsRefused()
    {
        IDataView view = _context.Data.LoadFromEnumerable(new[] { new Unbounded { Label = 3 } });
        Assert.Contains("MapValueToKey", Assert.Throws<InvalidOperationException>(() => Classes(view)).Message);
    }

    [Fact]
    public void OtherDataIsMatchedByNameNotByNumber()
    {
        LabelClasses classes = Classes(Key(Text("a"), "a", "b", "c"));
        Assert.Equal([2, 0], Indices(Key(Text("c", "a"), "c", "b", "a"), classes));
        Assert.Equal([1, 2], Indices(Text("b", "c"), classes));
        var error = Assert.Throws<InvalidOperationException>(() => Indices(Text("b", "dog"), classes));
        Assert.Contains("Row 1", error.Message);
        Assert.Contains("'dog'", error.Message);
    }

    [Fact]
    public void ARowWithoutLabelIsNamed()
    {
        IDataView view = Key(Text("a", "unknown"), "a", "b");
        Assert.Contains("Row 1", Assert.Throws<InvalidOperationException>(() => Indices(view, Classes(view))).Message);
        IDataView cleaned = _context.Data.FilterRowsByMissingValues(view, "Label");
        Assert.Equal([0], Indices(cleaned, Classes(cleaned)));
        Assert.Contains("Row 1", Assert.Throws<InvalidOperationException>(() => Classes(Text("a", " "))).Message);
    }

    [Theory]
    [InlineData("", "blank")]
    [InlineData(" ", "blank")]
    public void BlankClassNamesAreRefused(string name, string expected) =>
        Assert.Contains(
            expected,
            Assert
                .Throws<InvalidOperationException>(() =>
                    new LabelClasses(LabelKind.Key, ["a", name], TextDataViewType.Instance, "Label column 'L'")
                )
                .Message
        );

    [Fact]
    public void RepeatedClassNamesAreRefused() =>
        Assert.Contains(
            "twice",
            Assert
                .Throws<InvalidOperationException>(() =>
                    new LabelClasses(LabelKind.Key, ["a", "a"], TextDataViewType.Instance, "Label column 'L'")
                )
                .Message
        );

    [Fact]
    public void OtherTypesAreRefusedInBothChecks()
    {
        Refused(_context.Data.LoadFromEnumerable(new[] { new { Label = 3f } }), "Single");
        Refused(_context.Data.LoadFromEnumerable(new[] { new { Label = true } }), "Boolean");
        Refused(_context.Data.LoadFromEnumerable(new[] { new { Label = 3u } }), "UInt32");
        Refused(_context.Data.LoadFromEnumerable(new[] { new { Label = new[] { "a" } } }), "Vector");
        IDataView missing = _context.Data.LoadFromEnumerable(new[] { new { Class = "a" } });
        Assert.Contains("Class", Assert.Throws<ArgumentOutOfRangeException>(() => LabelColumn.Find(missing.Schema, "Label")).Message);
        Assert.Contains(
            "Class",
            Assert.Throws<ArgumentOutOfRangeException>(() => LabelColumn.Check(MLNetInternals.ShapeOf(missing.Schema), "Label")).Message
        );
    }

    [Fact]
    public void DatesBehindAKeyBecomeTextAsPromised()
    {
        IDataView view = _context.Data.LoadFromEnumerable(
            new[] { new { Label = new DateTime(2020, 1, 2) }, new { Label = new DateTime(2021, 1, 2) } }
        );
        view = _context.Transforms.Conversion.MapValueToKey("Label").Fit(view).Transform(view);
        Assert.Equal(TextDataViewType.Instance, Classes(view).ValueType);
        Assert.Equal((LabelKind.Key, TextDataViewType.Instance), LabelColumn.Check(MLNetInternals.ShapeOf(view.Schema), "Label"));
    }

    private IDataView Text(params string[] labels) => _context.Data.LoadFromEnumerable(labels.Select(l => new Named { Label = l }));

    private IDataView Key(IDataView text, params string[] order)
    {
        IDataView keys = _context.Data.LoadFromEnumerable(order.Select(l => new Named { Label = l }));
        return _context.Transforms.Conversion.MapValueToKey("Label", keyData: keys).Fit(text).Transform(text);
    }

    private static LabelClasses Classes(IDataView view) => LabelColumn.Find(view.Schema, "Label").ReadClasses(view);

    private static List<int> Indices(IDataView view, LabelClasses classes)
    {
        using DataViewRowCursor cursor = view.GetRowCursor(view.Schema);
        Func<int> read = LabelColumn.Find(view.Schema, "Label").CreateReader(cursor, classes);
        var indices = new List<int>();
        while (cursor.MoveNext())
            indices.Add(read());
        return indices;
    }

    private static void Refused(IDataView view, string type)
    {
        foreach (
            Action check in new Action[]
            {
                () => LabelColumn.Find(view.Schema, "Label"),
                () => LabelColumn.Check(MLNetInternals.ShapeOf(view.Schema), "Label"),
            }
        )
        {
            string message = Assert.Throws<ArgumentOutOfRangeException>(check).Message;
            Assert.Contains(type, message);
            Assert.Contains("Conversion.MapValueToKey", message);
        }
    }

    private sealed class Named
    {
        public string Label { get; set; } = "";
    }

    private sealed class Numbered
    {
        [KeyType(4)]
        public byte Label { get; set; }
    }

    private sealed class Unbounded
    {
        [KeyType(uint.MaxValue)]
        public uint Label { get; set; }
    }
}
