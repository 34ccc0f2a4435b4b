using Drawing.Tasks;
using EuroSat;
using Spectre.Console;

namespace QuickStart;

/// <summary>The tables of images, and the template of a class's text.</summary>
internal sealed record ImageTables(FileInfo Train, FileInfo? Validation, FileInfo Test, string Template)
{
    /// <summary>Training steps on the satellite tiles, chosen so that the whole sample takes less than three minutes on two
    /// cores.</summary>
    public const int TileSteps = 600;

    private const int TrainPerClass = 16,
        ValidationPerClass = 4,
        TestPerClass = 50;

    /// <summary>The tasks that need no tables: the drawn ones and the included satellite tiles.</summary>
    public static IReadOnlyList<string> Tasks { get; } = [.. DrawnTasks.All.Select(task => task.Name), EuroSatTiles.Name];

    /// <summary>Returns the images of a task that the embedded CLIP was not trained for.</summary>
    /// <param name="name">One of <see cref="Tasks"/>.</param>
    /// <param name="folder">Drawn images are written to a subfolder with the task's name.</param>
    /// <param name="seed">The seed of drawn images.</param>
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
