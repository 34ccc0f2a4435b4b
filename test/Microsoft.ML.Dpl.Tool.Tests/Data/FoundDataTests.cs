using System.Text;
using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Tests.Data;

/// <summary>Images, tables and split files written by other systems and programs.</summary>
public sealed class FoundDataTests : IDisposable
{
    private const string Decomposed = "Blu\u0308te",
        Composed = "Bl\u00fcte";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Class_names_are_composed_wherever_they_come_from()
    {
        Touch($"images/{Decomposed}/1.png", $"images/{Composed}/2.png", "images/leaf/3.png");
        Assert.Equal([Composed, "leaf"], Folder("images").Classes);
        Assert.Equal([Composed], Table("t.csv", $"path,class\n1.png,{Decomposed}\n2.png,{Composed}\n").Classes);
        Assert.Equal([Composed], Split($$"""{"train": [["1.png", 0, "{{Decomposed}}"], ["2.png", 0, "{{Composed}}"]]}""").Classes);
        Assert.Equal(
            ["flower", "leaf"],
            ClassNames.Rename(Folder("images"), Write("names.tsv", Encoding.UTF8.GetBytes($"{Decomposed}\tflower\n"))).Classes
        );
    }

    [Fact]
    public void Two_classes_of_a_split_file_need_two_names()
    {
        string message = Refusal(() => Split("""{"train": [["1.png", 0, "crane"], ["2.png", 7, "crane"]]}"""));
        Assert.Contains("'train', entry 1 calls class 7 'crane', as class 0", message);
    }

    [Theory]
    [InlineData("training_set", ImageSplit.Train)]
    [InlineData("TrainImages", ImageSplit.Train)]
    [InlineData("train2017", ImageSplit.Train)]
    [InlineData("seg_train", ImageSplit.Train)]
    [InlineData("valset", ImageSplit.Validation)]
    [InlineData("Validation Data", ImageSplit.Validation)]
    [InlineData("TEST", ImageSplit.Test)]
    [InlineData("test-set", ImageSplit.Test)]
    [InlineData("train station", null)]
    [InlineData("testament", null)]
    [InlineData("sunset", null)]
    [InlineData("images", null)]
    public void Usual_names_of_splits_are_known(string name, object? split) => Assert.Equal((ImageSplit?)split, SplitNames.Parse(name));

    [Fact]
    public void Folders_of_splits_are_no_classes()
    {
        Touch("kaggle/training_set/a/1.png", "kaggle/training_set/b/2.png", "kaggle/test_set/a/3.png", "kaggle/test_set/b/4.png");
        ImageSets sets = Folder("kaggle");
        Assert.Equal((2, 2), (sets.Train.Count, sets.Test.Count));

        Touch("flat/train/1.png", "flat/test/2.png");
        Assert.Contains("(test, train) are named as splits", Refusal(() => Folder("flat")));

        Touch("odd/first/a/1.png", "odd/first/b/1.png", "odd/second/a/1.png", "odd/second/b/1.png");
        Assert.Contains("all hold the same folders (a, b)", Refusal(() => Folder("odd")));
    }

    [Fact]
    public void A_folder_too_high_is_told_with_the_one_to_name()
    {
        Touch("photos/flowers/rose/1.png", "photos/flowers/lily/2.png");
        Assert.Contains($"name '{_folder.File("photos/flowers")}' instead", Refusal(() => Folder("photos")));
        Touch("plain/rose/1.png");
        Assert.Equal(["rose"], Folder("plain").Classes);
    }

    [Fact]
    public void Images_that_cannot_be_read_are_counted_by_kind()
    {
        Touch("a/1.jfif", "a/2.JPE", "a/3.dib", "a/4.HEIC", "a/5.heic", "a/6.tif", "a/.7.png", "a/notes.txt", "b/8.webp", "c/9.avif");
        var files = new ImageFiles();
        Assert.Equal(["1.jfif", "2.JPE", "3.dib"], files.In(_folder.File("a")).Select(path => Path.GetFileName(path)));
        Assert.Equal("Left out 2 .heic, 1 .tif:", files.LeftOutNote()![..25]);
        Assert.Contains("Left out 1 .avif", Refusal(() => ImageFolder.Read(_folder.FullPath, new ImageFiles()))[^110..]);
    }

    [Fact]
    public void Links_that_lead_round_add_no_image()
    {
        Touch("set/red/1.png", "set/blue/2.png", "elsewhere/3.png");
        Link("set/red/again", "../red");
        Link("set/red/up", "..");
        Link("set/red/far", "../../..");
        Link("set/blue/self", "self");
        Link("set/blue/more", "../../elsewhere");
        Assert.Equal(
            [("blue", "2.png"), ("blue", "3.png"), ("red", "1.png")],
            Folder("set").Train.Select(row => (row.Label, Path.GetFileName(row.ImagePath)))
        );
        Link("set/green", "red");
        Assert.Contains("'" + _folder.File("set/red") + "' is a link to a folder", Refusal(() => Folder("set")).Replace("green", "red"));
    }

    /// <summary>Such names come from archives of older systems; .NET lists them with a replacement character and then cannot open
    /// them.</summary>
    [SkippableTheory]
    [InlineData("gr\\374n/1.png", "red/2.png")]
    [InlineData("green/1.png", "red/bl\\374te.png")]
    public async Task Names_that_are_not_UTF8_are_refused_with_the_command_that_mends_them(params string[] files)
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "other systems have no such names");
        string bash =
            $"cd '{_folder.FullPath}' && for f in '{string.Join("' '", files)}'; do f=$(printf \"$f\"); "
            + "mkdir -p \"$(dirname \"$f\")\" && : > \"$f\" || exit 9; done";
        ToolProcess.Outcome made = await ToolProcess.RunProgram("bash", ["-c", bash]);
        try
        {
            Skip.If(made.ExitCode != 0, $"the file system takes no such name: {made.Error}");
            ToolProcess.Outcome fit = (
                await ToolProcess.Run("fit", _folder.FullPath, "--clip", "tiny-drawn", "--output", _folder.File("m.zip"))
            ).Expect(2);
            string line = Assert.Single(fit.ErrorLines);
            Assert.Contains("is not in UTF-8, so it cannot be opened. Rename it; convmv -f latin1 -t utf8 -r --notest", line);
            Assert.Contains(_folder.FullPath, line);
        }
        finally
        {
            // .NET cannot delete files whose names it cannot represent.
            (await ToolProcess.RunProgram("bash", ["-c", $"rm -rf '{_folder.FullPath}'/*"])).Expect(0);
        }
    }

    [Fact]
    public void A_listing_can_be_cancelled()
    {
        Touch("a/1.png");
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.Throws<OperationCanceledException>(() => new ImageFiles(cancelled.Token).In(_folder.FullPath));
    }

    [Theory]
    [InlineData("path,class\na.png,red\nb.png,Gr\u00fcn\n", "latin1", "t.csv, line 3")]
    [InlineData("path\tclass\na.png\tGr\u00fcn\n", "latin1", "t.csv, line 2")]
    public void A_table_in_another_encoding_is_refused(string text, string encoding, string place)
    {
        string file = Write("t.csv", Encoding.GetEncoding(encoding).GetBytes(text)),
            message = Refusal(() => ImageTable.Read(file, new TableColumns(), imageRoot: null));
        Assert.Contains(place, message);
        Assert.Contains("Save it as UTF-8", message);
    }

    [Theory]
    [InlineData("t.csv", "path;class;note\na.png;red;1,5\n")]
    [InlineData("t.csv", "path\tclass\na.png\tred\n")]
    [InlineData("t.txt", "path,class\na.png,red\n")]
    [InlineData("t.csv", "\ufefffile_name,label\na.png,red\n")]
    public void A_table_is_read_with_the_separator_that_it_has(string name, string text)
    {
        ImageRow row = Assert.Single(Table(name, text).Train);
        Assert.Equal((_folder.File("a.png"), "red"), (row.ImagePath, row.Label));
    }

    [Fact]
    public void A_table_in_UTF16_is_read()
    {
        byte[] bytes = [.. Encoding.Unicode.GetPreamble(), .. Encoding.Unicode.GetBytes("path\tclass\na.png\tGr\u00fcn\n")];
        Assert.Equal(["Gr\u00fcn"], ImageTable.Read(Write("t.tsv", bytes), new TableColumns(), imageRoot: null).Classes);
    }

    [Fact]
    public void Backslashes_are_taken_for_slashes_where_that_finds_the_file()
    {
        Touch("a/1.png");
        string[] paths = [.. Table("t.tsv", "path\tclass\na\\1.png\tred\na\\2.png\tred\n").Train.Select(row => row.ImagePath)];
        Assert.Equal(_folder.File("a/1.png"), paths[0]);
        Assert.Equal(_folder.File("a/1.png"), Assert.Single(Split("""{"test": [["a\\1.png", 0, "red"]]}""").Test).ImagePath);
        Assert.Contains(
            OperatingSystem.IsWindows() ? "missing" : "use slashes",
            Assert
                .Throws<FileNotFoundException>(() =>
                    ImageChecks.RequireFiles([new ImageRow { ImagePath = paths[1] }], "images", skipUnreadable: false)
                )
                .Message
        );
    }

    [Theory]
    [InlineData("n01440764", true)]
    [InlineData("003", true)]
    [InlineData("1-2", true)]
    [InlineData("Boeing 747", false)]
    [InlineData("n1", false)]
    public void Names_that_are_codes_are_known(string name, bool isCode) => Assert.Equal(isCode, ClassNames.IsCode(name));

    private static string Refusal(Func<object> read) => Assert.Throws<InvalidDataException>(read).Message;

    private ImageSets Folder(string name) => ImageFolder.Read(_folder.File(name), new ImageFiles());

    private ImageSets Table(string name, string text) =>
        ImageTable.Read(Write(name, Encoding.UTF8.GetBytes(text)), new TableColumns(), imageRoot: null);

    private ImageSets Split(string json) => SplitFile.Read(Write("split.json", Encoding.UTF8.GetBytes(json)), imageRoot: null);

    private string Write(string name, byte[] bytes)
    {
        File.WriteAllBytes(_folder.File(name), bytes);
        return _folder.File(name);
    }

    private void Link(string name, string target) => File.CreateSymbolicLink(_folder.File(name), target);

    private void Touch(params string[] files)
    {
        foreach (string file in files)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_folder.File(file))!);
            File.WriteAllBytes(_folder.File(file), []);
        }
    }
}
