using System.Security.Cryptography;
using Drawing.Tasks;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using SkiaSharp;

namespace Microsoft.ML.Dpl.Tests.Samples;

/// <summary>The drawn tasks: their contents, and that only the arguments determine their images.</summary>
public sealed class DrawnTasksTests
{
    private static readonly Dictionary<string, string?> Nothing = [];

    public static TheoryData<string> Names => [.. DrawnTasks.All.Select(task => task.Name)];

    [Fact]
    public void There_are_eleven_tasks_with_names_of_their_own()
    {
        Assert.Equal(11, DrawnTasks.All.Count);
        Assert.Equal(11, DrawnTasks.All.Select(task => task.Name).Distinct().Count());
        Assert.All(DrawnTasks.All, task => Assert.Same(task, DrawnTasks.Named(task.Name)));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_task_has_five_to_ten_classes_and_a_template(string name)
    {
        DrawnTask task = DrawnTasks.Named(name);
        Assert.InRange(task.ClassNames.Count, 5, 10);
        Assert.Equal(task.ClassNames.Count, task.ClassNames.Distinct().Count());
        Assert.All(task.ClassNames, className => Assert.Matches("^[a-z][a-z -]*$", className));
        Assert.Equal(2, task.Template.Split("{}").Length);
        Assert.EndsWith(".", task.Description);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Tables_name_images_of_every_class_and_no_image_is_in_two_splits(string name)
    {
        using var folder = new TemporaryFolder();
        DrawnTask task = DrawnTasks.Named(name);
        int told = 0;
        DrawnTaskFiles.Write(task, folder.FullPath, trainPerClass: 3, validationPerClass: 2, testPerClass: 5, seed: 1, written: () =>
            told++
        );

        var contents = new HashSet<string>();
        foreach (var (split, perClass) in new[] { ("train", 3), ("validation", 2), ("test", 5) })
        {
            string[] lines = File.ReadAllLines(folder.File(split + ".tsv"));
            Assert.Equal("ImagePath\tLabel", lines[0]);
            string[][] rows = [.. lines.Skip(1).Select(line => line.Split('\t'))];
            Assert.All(rows, row => Assert.Equal(2, row.Length));
            Assert.Equal(task.ClassNames.SelectMany(className => Enumerable.Repeat(className, perClass)), rows.Select(row => row[1]));
            foreach (string[] row in rows)
            {
                Assert.StartsWith(split + "/", row[0]);
                Assert.True(contents.Add(Hash(folder.File(row[0]))), $"{row[0]} equals another image.");
            }
        }
        Assert.Equal(10 * task.ClassNames.Count, contents.Count);
        Assert.Equal(contents.Count, told);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Equal_seeds_give_equal_files_and_others_give_others(string name)
    {
        using TemporaryFolder first = new(),
            again = new(),
            other = new();
        foreach (var (folder, seed) in new[] { (first, 7), (again, 7), (other, 8) })
            DrawnTaskFiles.Write(DrawnTasks.Named(name), folder.FullPath, 1, 1, 1, seed);
        string[] files =
        [
            .. Directory
                .EnumerateFiles(first.FullPath, "*", SearchOption.AllDirectories)
                .Select(path => Path.GetRelativePath(first.FullPath, path)),
        ];
        Assert.All(files, file => Assert.Equal(Hash(first.File(file)), Hash(again.File(file))));
        Assert.All(files.Where(file => file.EndsWith(".png", StringComparison.Ordinal)), file =>
            Assert.NotEqual(Hash(first.File(file)), Hash(other.File(file)))
        );
    }

    /// <summary>Drawing more images, or fewer of another split, does not change the existing ones.</summary>
    [Fact]
    public void An_image_does_not_depend_on_how_many_are_drawn()
    {
        using TemporaryFolder few = new(),
            many = new();
        DrawnTaskFiles.Write(DrawnTasks.All[0], few.FullPath, 1, 1, 1, seed: 3);
        DrawnTaskFiles.Write(DrawnTasks.All[0], many.FullPath, 3, 2, 2, seed: 3);
        foreach (string path in Directory.EnumerateFiles(few.FullPath, "*.png", SearchOption.AllDirectories))
            Assert.Equal(Hash(path), Hash(many.File(Path.GetRelativePath(few.FullPath, path))));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Images_have_the_size_asked_for_and_show_something(string name)
    {
        DrawnTask task = DrawnTasks.Named(name);
        for (int classIndex = 0; classIndex < task.ClassNames.Count; classIndex++)
            foreach (int size in new[] { 32, 96 })
            {
                using SKBitmap image = task.Draw(classIndex, new Random(classIndex), size);
                Assert.Equal((size, size), (image.Width, image.Height));
                Assert.True(image.Pixels.Distinct().Count() > 50, $"{task.ClassNames[classIndex]} at {size} pixels is nearly empty.");
            }
    }

    [Fact]
    public void Numbers_out_of_range_are_refused_before_anything_is_written()
    {
        using var folder = new TemporaryFolder();
        DrawnTask task = DrawnTasks.All[0];
        Assert.Contains(
            "0 train images",
            Assert.Throws<ArgumentException>(() => DrawnTaskFiles.Write(task, folder.FullPath, 0, 1, 1, 1)).Message
        );
        Assert.Contains(
            "0 validation images",
            Assert.Throws<ArgumentException>(() => DrawnTaskFiles.Write(task, folder.FullPath, 1, 0, 1, 1)).Message
        );
        Assert.Contains(
            "-2 test images",
            Assert.Throws<ArgumentException>(() => DrawnTaskFiles.Write(task, folder.FullPath, 1, 1, -2, 1)).Message
        );
        Assert.Contains(
            "16 to 1024",
            Assert.Throws<ArgumentException>(() => DrawnTaskFiles.Write(task, folder.FullPath, 1, 1, 1, 1, size: 8)).Message
        );
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.FullPath));
        Assert.Throws<ArgumentOutOfRangeException>(() => task.Draw(task.ClassNames.Count, new Random(1)));
    }

    [Fact]
    public async Task The_program_writes_a_task_and_its_contact_sheet()
    {
        using var folder = new TemporaryFolder();
        SampleProcess.Outcome outcome = await SampleProcess.Run(
            "DrawTasks",
            Nothing,
            "--output",
            folder.FullPath,
            "--task",
            "counting",
            "--train",
            "2",
            "--validation",
            "1",
            "--test",
            "1",
            "--size",
            "32",
            "--sheet"
        );
        Assert.True(outcome.ExitCode == 0, outcome.Output + outcome.Error);
        Assert.Equal(24, Directory.EnumerateFiles(folder.File("counting"), "*.png", SearchOption.AllDirectories).Count());
        Assert.True(File.Exists(folder.File("counting.png")));
        Assert.Contains("counting", outcome.Output);
    }

    [Theory]
    [InlineData("There is no task 'cats'. Choose one of objects,", "--task", "cats")]
    [InlineData("0 train images per class: at least 1 is needed.", "--train", "0")]
    [InlineData("0 test images per class: at least 1 is needed.", "--test", "0")]
    [InlineData("A size of 5 pixels: 16 to 1024 are possible.", "--size", "5")]
    public async Task Wrong_arguments_end_with_one_line_and_no_stack_trace(string expected, params string[] arguments)
    {
        using var folder = new TemporaryFolder();
        SampleProcess.Outcome outcome = await SampleProcess.Run("DrawTasks", Nothing, ["--output", folder.FullPath, .. arguments]);
        Assert.Equal(1, outcome.ExitCode);
        string line = Assert.Single(outcome.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith(expected, line);
        Assert.Empty(outcome.Output);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.FullPath));
    }

    private static string Hash(string file) => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file)));
}
