using Drawing.Tasks;
using EuroSat;
using Spectre.Console;

namespace QuickStart;

/// <summary>Tables of images, and how a class is put into words.</summary>
internal sealed record ImageTables(FileInfo Train, FileInfo? Validation, FileInfo Test, string Template)
{
    /// <summary>Steps of training on the tiles, so that all is done within three minutes on two cores.</summary>
    public const int TileSteps = 600;

    private const int TrainPerClass = 16,
        ValidationPerClass = 4,
        TestPerClass = 50;

    /// <summary>The tasks that need no tables: the drawn ones and the satellite tiles that come along.</summary>
    public static IReadOnlyList<string> Tasks { get; } = [.. DrawnTasks.All.Select(task => task.Name), EuroSatTiles.Name];

    /// <summary>The images of a task that the embedded CLIP was not trained for.</summary>
    /// <param name="name">One of <see cref="Tasks"/>.</param>
    /// <param name="folder">Drawn images go into a folder of the task's name in it.</param>
    /// <param name="seed">Of drawn images.</param>
    public static ImageTables Find(string name, DirectoryInfo folder, int seed) =>
        name == EuroSatTiles.Name ? Tiles() : Draw(name, folder, seed);

    private static ImageTables Tiles()
    {
        AnsiConsole.MarkupLineInterpolated($"Satellite tiles of [bold]{EuroSatTiles.Name}[/] in {EuroSatTiles.Folder}");
        FileInfo train = new(EuroSatTiles.TrainTable),
            test = new(EuroSatTiles.TestTable);
        return new ImageTables(train, Validation: null, test, EuroSatTiles.Template);
    }

    private static ImageTables Draw(string name, DirectoryInfo folder, int seed)
    {
        DrawnTask task = DrawnTasks.Named(name);
        string images = Path.Combine(folder.FullName, task.Name);
        DrawnTaskFiles.Write(task, images, TrainPerClass, ValidationPerClass, TestPerClass, seed);
        ContactSheet.Write(task, images + ".png", seed);
        AnsiConsole.MarkupLineInterpolated($"Drew [bold]{task.Name}[/] into {images} (some of each class: {images}.png)");
        FileInfo Table(string set) => new(Path.Combine(images, set + ".tsv"));
        return new ImageTables(Table("train"), Table("validation"), Table("test"), task.Template);
    }
}
