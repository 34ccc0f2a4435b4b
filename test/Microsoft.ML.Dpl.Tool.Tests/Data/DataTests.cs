using System.CommandLine;
using EuroSat;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Options;

namespace Microsoft.ML.Dpl.Tool.Tests.Data;

/// <summary>The formats of labelled images.</summary>
public sealed class DataTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dpl-tool-data-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_folder_of_class_folders_is_training_data()
    {
        Touch("dog/1.png", "cat/2.JPG", "cat/deep/1.png", "cat/notes.txt", ".hidden/3.png");
        ImageSets sets = ImageFolder.Read(_folder, new ImageFiles());
        Assert.Equal(
            [("cat", "2.JPG"), ("cat", "1.png"), ("dog", "1.png")],
            sets.Train.Select(row => (row.Label, Path.GetFileName(row.ImagePath)))
        );
        Assert.Equal(sets.Train, sets.ToEvaluate);
    }

    [Fact]
    public void Folders_named_as_splits_are_splits_and_others_are_classes()
    {
        Touch("train/a/1.png", "train/b/2.png", "val/a/3.png", "test/b/4.png");
        ImageSets sets = ImageFolder.Read(_folder, new ImageFiles());
        Assert.Equal([2, 1, 1], new[] { sets.Train.Count, sets.Validation.Count, sets.Test.Count });
        Assert.Equal("b", Assert.Single(sets.ToEvaluate).Label);
        Touch("other/5.png", "train/6.png", "val/7.png", "test/8.png");
        Assert.Equal(["other", "test", "train", "val"], ImageFolder.Read(_folder, new ImageFiles()).Classes);
    }

    [Fact]
    public void A_class_folder_without_images_is_named()
    {
        Touch("cat/1.png", "dog/notes.txt");
        Assert.Contains("dog", Assert.Throws<InvalidDataException>(() => ImageFolder.Read(_folder, new ImageFiles())).Message);
    }

    [Theory]
    [InlineData("t.tsv", "Path\tClass\tSplit\na.png\tred\ttrain\nb.png\tred\tval\nc.png\tblue\ttest\n")]
    [InlineData("t.csv", "path,class,split\n\"a.png\",red,training\n\"b.png\",red,dev\n\"c.png\",\"blue\",TEST\n")]
    public void A_table_has_paths_classes_and_splits(string name, string text)
    {
        ImageSets sets = ImageTable.Read(Write(name, text), new TableColumns(), imageRoot: null);
        Assert.Equal(Path.Combine(_folder, "a.png"), Assert.Single(sets.Train).ImagePath);
        Assert.Equal("red", Assert.Single(sets.Validation).Label);
        Assert.Equal("blue", Assert.Single(sets.Test).Label);
    }

    [Theory]
    [InlineData("x,y\na.png,red\n", "--image-column")]
    [InlineData("path,class\na.png\n", "line 2")]
    [InlineData("path,class\na.png,red\nb.png,\n", "line 3")]
    [InlineData("path,class,split\na.png,red,holdout\n", "'holdout'")]
    [InlineData("path,class\na\0.png,red\n", "line 2")]
    [InlineData("path,class\n", "no rows")]
    [InlineData("", "empty")]
    public void A_wrong_table_says_where(string text, string part) =>
        Assert.Contains(
            part,
            Assert.Throws<InvalidDataException>(() => ImageTable.Read(Write("t.csv", text), new TableColumns(), imageRoot: null)).Message
        );

    [Theory]
    [InlineData("0", 0f)]
    [InlineData("2.5", 2.5f)]
    [InlineData("1e3", 1000f)]
    [InlineData("-0.001", null)]
    [InlineData("Infinity", null)]
    [InlineData("NaN", null)]
    [InlineData("2;5", null)]
    [InlineData("", null)]
    public void A_weight_is_a_number_of_at_least_0(string text, float? weight)
    {
        string file = Write("t.tsv", $"Path\tClass\tcounts\na.png\tred\t{text}\n");
        ImageSets Read() => ImageTable.Read(file, new TableColumns(Weight: "counts"), imageRoot: null);
        if (weight is float expected)
            Assert.Equal(expected, Assert.Single(Read().Train).Weight);
        else
            Assert.Contains($"line 2: '{text}' is not a weight", Assert.Throws<InvalidDataException>(Read).Message);
    }

    /// <summary>Weight and split columns are required of the first table only; an additional one, for instance for the test, may lack
    /// them.</summary>
    [Fact]
    public void A_second_table_needs_no_column_but_paths_and_classes()
    {
        string file = Write("t.tsv", "Path\tClass\na.png\tred\n");
        var columns = new TableColumns(Split: "part", Weight: "counts");
        Assert.Contains("'part'", Assert.Throws<InvalidDataException>(() => ImageTable.Read(file, columns, imageRoot: null)).Message);
        Assert.Equal(1, Assert.Single(ImageTable.Read(file, columns with { NeedsAll = false }, imageRoot: null).Train).Weight);
    }

    [Fact]
    public void What_is_wrong_with_the_test_is_known_before_the_fit()
    {
        Touch("1.png", "2.png");
        ImageRow Row(string name, string label) => new() { ImagePath = Path.Combine(_folder, name), Label = label };
        var sets = new ImageSets("x", [Row("1.png", "red"), Row("2.png", "blue")], [], [Row("1.png", "red"), Row("3.png", "blue")]);
        Assert.Contains(
            "One of 2 test images is missing",
            Assert.Throws<FileNotFoundException>(() => ImageChecks.RequireTest(sets, skipUnreadable: false)).Message
        );
        ImageChecks.RequireTest(sets, skipUnreadable: true);
        sets = sets with { Test = [Row("3.png", "blue")] };
        Assert.Contains(
            "--image-root",
            Assert.Throws<FileNotFoundException>(() => ImageChecks.RequireTest(sets, skipUnreadable: true)).Message
        );
        sets = sets with { Test = [Row("1.png", "green")] };
        Assert.Contains(
            "'green'; the classes are 'red', 'blue'",
            Assert.Throws<InvalidDataException>(() => ImageChecks.RequireTest(sets, skipUnreadable: true)).Message
        );
    }

    [Fact]
    public void A_split_file_of_CoOp_is_read()
    {
        string file = Write(
            "split_zhou_x.json",
            """{"train": [["a/1.jpg", 0, "a"], ["b/1.jpg", 1, "b"]], "val": [["a/2.jpg", 0, "a"]], "test": [["b/2.jpg", 1, "b"]]}"""
        );
        ImageSets sets = SplitFile.Read(file, "/images");
        Assert.Equal(["/images/a/1.jpg", "/images/b/1.jpg"], sets.Train.Select(row => row.ImagePath));
        Assert.Equal("a", Assert.Single(sets.Validation).Label);
        Assert.Equal("b", Assert.Single(sets.Test).Label);
        Assert.Contains(
            "'val', entry 0",
            Assert
                .Throws<InvalidDataException>(() =>
                    SplitFile.Read(Write("y.json", """{"train": [["a", 0, "a"]], "val": [["a", "0", "a"]]}"""), null)
                )
                .Message
        );
        Assert.Contains(
            "class 0",
            Assert
                .Throws<InvalidDataException>(() => SplitFile.Read(Write("z.json", """{"train": [["a", 0, "a"], ["b", 0, "b"]]}"""), null))
                .Message
        );
    }

    [Fact]
    public void Shots_are_drawn_of_each_class_whatever_the_order()
    {
        ImageRow[] rows = [.. Enumerable.Range(0, 60).Select(i => new ImageRow { ImagePath = $"/{i:d2}", Label = $"class {i % 3}" })];
        var sets = new ImageSets("x", rows, rows, rows);
        ImageSets drawn = FewShotDraw.Draw(sets, 8, seed: 1),
            again = FewShotDraw.Draw(sets with { Train = [.. rows.Reverse()] }, 8, seed: 1),
            other = FewShotDraw.Draw(sets, 8, seed: 2);
        Assert.All(drawn.Train.CountBy(row => row.Label), pair => Assert.Equal(8, pair.Value));
        Assert.All(drawn.Validation.CountBy(row => row.Label), pair => Assert.Equal(4, pair.Value));
        Assert.Equal(60, drawn.Test.Count);
        Assert.Equal(24, drawn.Train.Select(row => row.ImagePath).Distinct().Count());
        Assert.Equal(drawn.Train, again.Train);
        Assert.NotEqual(drawn.Train, other.Train);
    }

    [Fact]
    public void Shots_leave_a_named_validation_set_whole()
    {
        string Table(string name, Func<int, string> split) =>
            Write(
                name,
                "ImagePath\tLabel\tSplit\n"
                    + string.Concat(Enumerable.Range(0, 40).Select(i => $"{i}.png\t{(i % 2 == 0 ? "cat" : "dog")}\t{split(i)}\n"))
            );
        var options = new DataOptions(learns: true);
        var command = new RootCommand();
        options.AddTo(command);
        ImageSets Read(params string[] words) => options.Read(command.Parse(words), CancellationToken.None);
        string data = Table("data.tsv", i => i < 20 ? "train" : "val"),
            validation = Table("validation.tsv", _ => "val");
        ImageSets own = Read(data, "--shots", "6"),
            named = Read(data, "--shots", "6", "--validation", validation);
        Assert.Equal((12, 8), (own.Train.Count, own.Validation.Count));
        Assert.Equal((12, 40), (named.Train.Count, named.Validation.Count));
        Assert.Equal(own.Train.Select(row => row.ImagePath), named.Train.Select(row => row.ImagePath));
    }

    [Theory]
    [InlineData("001.Black_footed-Albatross", "Black footed Albatross")]
    [InlineData("n02123045_tabby", "tabby")]
    [InlineData("AnnualCrop", "Annual Crop")]
    [InlineData("747-400", "747 400")]
    [InlineData("daisy", "daisy")]
    [InlineData("12", "12")]
    public void Names_become_words(string name, string words) => Assert.Equal(words, ClassNames.Clean(name));

    [Fact]
    public void Two_classes_of_one_name_are_refused()
    {
        var sets = new ImageSets("x", [new ImageRow { Label = "1.cat" }, new ImageRow { Label = "2.cat" }], [], []);
        Assert.Contains("'1.cat' and '2.cat'", Assert.Throws<InvalidDataException>(() => ClassNames.Clean(sets)).Message);
        string names = Write("names.tsv", "1.cat\tlion\n");
        Assert.Equal(["2.cat", "lion"], ClassNames.Rename(sets, names).Classes);
        Assert.Contains(
            "line 1",
            Assert.Throws<InvalidDataException>(() => ClassNames.Rename(sets, Write("other.tsv", "3.cat\tlion\n"))).Message
        );
    }

    /// <summary>Photographs in class folders, evaluated by the command itself.</summary>
    [Fact]
    public async Task Satellite_tiles_in_folders_are_evaluated_zero_shot()
    {
        string[] command = ["zeroshot", EuroSatTiles.Folder, "--clip", "tiny-drawn", "--template", EuroSatTiles.Template];
        ToolProcess.Outcome outcome = (await ToolProcess.Run(command)).Expect(0);
        Assert.Contains("300", outcome.Output);
        Assert.Contains("herbaceous_vegetation_land", outcome.Output);
        Assert.DoesNotContain("Warning", outcome.Error);
    }

    private string Write(string name, string text)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    private void Touch(params string[] files)
    {
        foreach (string file in files)
        {
            string path = Path.Combine(_folder, file);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(path, []);
        }
    }
}
