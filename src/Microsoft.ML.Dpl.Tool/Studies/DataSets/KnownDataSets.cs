using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Studies.DataSets;

/// <summary>The eleven data sets on which prompts for CLIP are usually compared, and the four variants of ImageNet.</summary>
internal static class KnownDataSets
{
    /// <summary>ImageNet, the usual source of the transfer protocols.</summary>
    public const string ImageNet = "imagenet";

    /// <summary>The targets of the domain-shift protocol.</summary>
    public static readonly IReadOnlyList<string> ImageNetVariants = ["imagenet-v2", "imagenet-sketch", "imagenet-a", "imagenet-r"];

    /// <summary>The eleven in the order of the papers' tables, then the variants of ImageNet. Sizes are those of table 8 of CoOp's paper
    /// (Zhou et al., IJCV 2022, arXiv 2109.01134).</summary>
    public static IReadOnlyList<KnownDataSet> All { get; } =
    [
        new(ImageNet, "imagenet", new(1000, 1_281_167, 0, 50_000), ["images/train", "images/val", "classnames.txt"], ImageNetFolders.Read),
        Split("caltech101", "caltech-101", "101_ObjectCategories", "Caltech101", new(100, 4128, 1649, 2465)),
        Split("oxford-pets", "oxford_pets", "images", "OxfordPets", new(37, 2944, 736, 3669), "pets"),
        Split("stanford-cars", "stanford_cars", "", "StanfordCars", new(196, 6509, 1635, 8041), "cars"),
        Split("flowers102", "oxford_flowers", "jpg", "OxfordFlowers", new(102, 4093, 1633, 2463), "oxford-flowers"),
        Split("food101", "food-101", "images", "Food101", new(101, 50_500, 20_200, 30_300)),
        new(
            "fgvc-aircraft",
            "fgvc_aircraft",
            new(100, 3334, 3333, 3333),
            [
                "images",
                FgvcAircraft.VariantsFile,
                FgvcAircraft.RowsFile("train"),
                FgvcAircraft.RowsFile("val"),
                FgvcAircraft.RowsFile("test"),
            ],
            FgvcAircraft.Read
        )
        {
            Aliases = ["aircraft"],
        },
        Split("sun397", "sun397", "SUN397", "SUN397", new(397, 15_880, 3970, 19_850)),
        Split("dtd", "dtd", "images", "DescribableTextures", new(47, 2820, 1128, 1692), "describable-textures"),
        Split("eurosat", "eurosat", "2750", "EuroSAT", new(10, 13_500, 5400, 8100)),
        Split("ucf101", "ucf101", "UCF-101-midframes", "UCF101", new(101, 7639, 1898, 3783)),
        Variant("imagenet-v2", "imagenetv2", "imagenetv2-matched-frequency-format-val", new(1000, 0, 0, 10_000), "imagenetv2"),
        Variant("imagenet-sketch", "imagenet-sketch", "images", new(1000, 0, 0, 50_889)),
        Variant("imagenet-a", "imagenet-adversarial", "imagenet-a", new(200, 0, 0, 7500), "imagenet-adversarial"),
        Variant("imagenet-r", "imagenet-rendition", "imagenet-r", new(200, 0, 0, 30_000), "imagenet-rendition"),
    ];

    /// <returns>The data set of that name; null if there is none. Case, spaces, hyphens and underscores are ignored.</returns>
    public static KnownDataSet? Find(string name) =>
        All.FirstOrDefault(known => known.Aliases.Append(known.Name).Any(each => Key(each) == Key(name)));

    /// <summary>The template that CoOp's code uses for a data set.</summary>
    public static string Template(KnownDataSet known) => ClipTemplates.Named(known.Name)[0];

    private static string Key(string name) => string.Concat(name.Where(c => c is not ('-' or '_' or ' '))).ToLowerInvariant();

    private static KnownDataSet Split(string name, string folder, string images, string split, DataSetSize size, params string[] aliases)
    {
        string file = $"split_zhou_{split}.json";
        return new KnownDataSet(name, folder, size, [.. new[] { images, file }.Where(part => part.Length > 0)], (path, _) =>
            SplitFile.Read(Path.Combine(path, file), Path.Combine(path, images))
        )
        {
            Aliases = aliases,
        };
    }

    private static KnownDataSet Variant(string name, string folder, string images, DataSetSize size, params string[] aliases) =>
        new(name, folder, size, [images, ImageNetFolders.NamesFile], (path, cancellationToken) =>
            ImageNetFolders.ReadVariant(path, images, cancellationToken)
        )
        {
            Aliases = aliases,
        };
}

/// <summary>A data set of the literature in the folder layout of CoOp (DATASETS.md of https://github.com/KaiyangZhou/CoOp, at commit
/// 0f24bd6e).</summary>
/// <param name="Name">The name used in plans.</param>
/// <param name="Folder">Name of its folder in the root of all data.</param>
/// <param name="Size">Numbers of classes and images of the complete data set.</param>
/// <param name="Contents">Files and folders that its folder must contain.</param>
/// <param name="Read">Reads the rows from the full path of its folder.</param>
internal sealed record KnownDataSet(
    string Name,
    string Folder,
    DataSetSize Size,
    IReadOnlyList<string> Contents,
    Func<string, CancellationToken, ImageSets> Read
)
{
    /// <summary>Other ways to write the name.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>Whether there are only test images.</summary>
    public bool IsForTestsOnly => Size.Train == 0;
}

/// <summary>Numbers of classes and images.</summary>
internal sealed record DataSetSize(int Classes, int Train, int Validation, int Test)
{
    public static DataSetSize From(ImageSets sets) => new(sets.Classes.Count, sets.Train.Count, sets.Validation.Count, sets.Test.Count);

    public override string ToString() =>
        FormattableString.Invariant($"{Classes} classes; {Train} training, {Validation} validation and {Test} test images");
}
