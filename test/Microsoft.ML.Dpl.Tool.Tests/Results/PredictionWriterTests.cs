using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Tests.Results;

/// <summary>Predictions as text, whatever characters paths and class names contain.</summary>
public sealed class PredictionWriterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Of_equal_probabilities_the_first_class_comes_first_and_no_more_classes_are_written_than_there_are()
    {
        using var output = new StringWriter { NewLine = "\n" };
        PredictionWriter writer = PredictionWriter.Create(PredictionFormat.Csv, ["b", "x", "c", "a"], top: 9, output);
        writer.Write("x.png", [0.125f, 0.625f, 0.125f, 0.125f], error: null);
        const string Header = "path,class,probability,class2,probability2,class3,probability3,class4,probability4";
        Assert.Equal($"{Header}\nx.png,x,0.625,b,0.125,c,0.125,a,0.125\n", output.ToString());
    }

    [Fact]
    public void Below_the_threshold_there_is_no_class_and_the_probabilities_are_as_ever()
    {
        Assert.Equal(
            "path,class,probability,class2,probability2\nat.png,b,0.75,a,0.25\nbelow.png,,0.5,b,0.5\n",
            Written(PredictionFormat.Csv)
        );
        const string AtTop = """[{"class":"b","probability":0.75},{"class":"a","probability":0.25}]""",
            BelowTop = """[{"class":"a","probability":0.5},{"class":"b","probability":0.5}]""";
        Assert.Equal(
            $$"""
            {"path":"at.png","class":"b","probability":0.75,"top":{{AtTop}}}
            {"path":"below.png","probability":0.5,"top":{{BelowTop}}}

            """.ReplaceLineEndings("\n"),
            Written(PredictionFormat.Jsonl)
        );

        static string Written(PredictionFormat format)
        {
            using var output = new StringWriter { NewLine = "\n" };
            PredictionWriter writer = PredictionWriter.Create(format, ["a", "b"], top: 2, output, threshold: 0.75);
            writer.Write("at.png", [0.25f, 0.75f], error: null);
            writer.Write("below.png", [0.5f, 0.5f], error: null);
            writer.End();
            return output.ToString();
        }
    }

    /// <summary>Quoting according to RFC 4180; a lone carriage return is quoted as well, because many readers take it as the end of a
    /// line.</summary>
    [Theory]
    [InlineData("plain name", "plain name")]
    [InlineData("a,b", "\"a,b\"")]
    [InlineData("a\"b", "\"a\"\"b\"")]
    [InlineData("\"", "\"\"\"\"")]
    [InlineData("a\nb", "\"a\nb\"")]
    [InlineData("a\rb", "\"a\rb\"")]
    [InlineData("a\r\nb", "\"a\r\nb\"")]
    public void A_CSV_field_that_would_break_its_line_is_quoted_and_read_back_as_it_was(string text, string written)
    {
        using var output = new StringWriter { NewLine = "\n" };
        PredictionWriter writer = PredictionWriter.Create(PredictionFormat.Csv, ["other", text], top: 1, output);
        writer.Write(text, [0.25f, 0.75f], error: null);
        writer.Write("broken.png", probabilities: null, "cannot be read");
        writer.End();
        Assert.Equal($"path,class,probability\n{written},{written},0.75\n", output.ToString());

        string table = _folder.File("predictions.csv");
        File.WriteAllText(table, output.ToString());
        ImageRow row = Assert.Single(ImageTable.Read(table, new TableColumns(), imageRoot: null).Train);
        Assert.Equal((_folder.File(text), text), (row.ImagePath, row.Label));
    }
}
