namespace EuroSat;

/// <summary>A tile and its class.</summary>
/// <param name="ImagePath">Full path of a JPEG file, 64 × 64 pixels.</param>
/// <param name="Label">The class in words, such as <c>annual crop land</c>.</param>
public sealed record EuroSatTile(string ImagePath, string Label);

/// <summary>
/// The satellite tiles of <c>samples/data/eurosat</c>, which are copied next to the program: 10 classes with 20 training and 10 test tiles
/// each.
/// </summary>
public static class EuroSatTiles
{
    /// <summary>The name of the task in the samples.</summary>
    public const string Name = "eurosat";

    /// <summary>
    /// The template of a class's text; {} stands for the class name. Even with the longest name it fits into the 32 tokens of the embedded
    /// CLIP for drawings, unlike CoOp's "a centered satellite photo of {}.".
    /// </summary>
    public const string Template = "a satellite photo of {}.";

    /// <summary>The folder of the tables and of one subfolder of tiles per class, named as the class with underscores instead of
    /// spaces.</summary>
    public static string Folder { get; } = Path.Combine(AppContext.BaseDirectory, Name);

    /// <summary>The table of training tiles: ImagePath and Label, separated by a tab.</summary>
    public static string TrainTable => Path.Combine(Folder, "train.tsv");

    /// <summary>The table of test tiles: ImagePath and Label, separated by a tab.</summary>
    public static string TestTable => Path.Combine(Folder, "test.tsv");

    /// <summary>The 200 training tiles, class by class.</summary>
    /// <exception cref="IOException">The tiles are missing next to the program.</exception>
    public static IReadOnlyList<EuroSatTile> Train => Read(TrainTable);

    /// <summary>The 100 test tiles, class by class.</summary>
    /// <exception cref="IOException">The tiles are missing next to the program.</exception>
    public static IReadOnlyList<EuroSatTile> Test => Read(TestTable);

    private static IReadOnlyList<EuroSatTile> Read(string table) =>
        [
            .. from line in File.ReadLines(table).Skip(1)
            let cells = line.Split('\t')
            select new EuroSatTile(Path.GetFullPath(cells[0], Folder), cells[1]),
        ];
}
