using Drawing.Tasks;
using Spectre.Console;

namespace QuickStart;

/// <summary>Tables of pictures, and how a class is put into words.</summary>
internal sealed record PictureTables(FileInfo Train, FileInfo? Validation, FileInfo Test, string Template)
{
    private const int TrainPerClass = 16, ValidationPerClass = 4, TestPerClass = 50;

    /// <summary>Draws a task that the embedded CLIP was not trained for.</summary>
    /// <param name="name">One of the drawn tasks.</param>
    /// <param name="folder">The pictures go into a folder of the task's name in it.</param>
    /// <param name="seed">Of the pictures.</param>
    public static PictureTables Draw(string name, DirectoryInfo folder, int seed)
    {
        DrawnTask task = DrawnTasks.Named(name);
        string pictures = Path.Combine(folder.FullName, task.Name);
        DrawnTaskFiles.Write(task, pictures, TrainPerClass, ValidationPerClass, TestPerClass, seed);
        ContactSheet.Write(task, pictures + ".png", seed);
        AnsiConsole.MarkupLineInterpolated($"Drew [bold]{task.Name}[/] into {pictures} (some of each class: {pictures}.png)");
        FileInfo Table(string set) => new(Path.Combine(pictures, set + ".tsv"));
        return new PictureTables(Table("train"), Table("validation"), Table("test"), task.Template);
    }
}
