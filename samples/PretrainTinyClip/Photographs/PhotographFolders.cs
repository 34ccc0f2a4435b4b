using Microsoft.ML.Dpl.Images;

namespace PretrainTinyClip.Photographs;

/// <summary>A photograph for training or validation.</summary>
/// <param name="Path">Path of the file.</param>
/// <param name="Class">Index of its class in <see cref="PhotographFolders.Classes"/>, or −1 if it has no class.</param>
/// <param name="Side">Side in pixels of the decoded square.</param>
internal readonly record struct Photograph(string Path, int Class, int Side);

/// <summary>A class of photographs.</summary>
/// <param name="Name">The preferred name in captions.</param>
/// <param name="Synset">WordNet id, such as "n02124075"; empty if there is none.</param>
internal sealed record PhotographClass(string Name, string Synset);

/// <summary>
/// The training data for photographs: Tiny ImageNet (tiny-imagenet-200/train) and Caltech101 (caltech101/101_ObjectCategories), except for
/// images listed in a folder of tables, which are reserved for evaluation.
/// </summary>
internal sealed class PhotographFolders
{
    private const string TinyImageNet = "tiny-imagenet-200",
        Caltech = "caltech101",
        Background = "BACKGROUND_Google",
        EasyFaces = "Faces_easy"; // the same photographs as Faces, cropped

    /// <summary>Side in pixels of Tiny ImageNet's images as published.</summary>
    public const int TinyImageNetSide = 64;

    /// <summary>Side in pixels of Caltech101's decoded images: slightly more than the model's input.</summary>
    public const int CaltechSide = 128;

    // CoOp's class names for Caltech101's folders where they differ from the folders' names.
    private static readonly Dictionary<string, string> CaltechNames = new(StringComparer.Ordinal)
    {
        ["airplanes"] = "airplane",
        ["Faces"] = "face",
        ["Leopards"] = "leopard",
        ["Motorbikes"] = "motorbike",
    };

    private readonly List<Photograph> _photographs = [];
    private readonly List<PhotographClass> _classes = [];

    /// <param name="data">Folder that contains both data sets; one of them may be missing.</param>
    /// <param name="heldOut">Folder with tables (.tsv, column ImagePath) whose images are left out; null: none.</param>
    /// <exception cref="DirectoryNotFoundException">Both data sets are missing.</exception>
    public PhotographFolders(string data, string? heldOut)
    {
        string tiny = Path.Combine(data, TinyImageNet),
            caltech = Path.Combine(data, Caltech, "101_ObjectCategories");
        if (!Directory.Exists(tiny) && !Directory.Exists(caltech))
            throw new DirectoryNotFoundException(
                $"'{data}' holds neither {TinyImageNet} nor {Caltech}/101_ObjectCategories: name the folder they are in with --photographs."
            );
        if (Directory.Exists(tiny))
            AddTinyImageNet(tiny);
        if (Directory.Exists(caltech))
            AddCaltech(caltech, HeldOut(heldOut));
    }

    /// <summary>The photographs, in an order that does not depend on the file system.</summary>
    public IReadOnlyList<Photograph> Photographs => _photographs;

    public IReadOnlyList<PhotographClass> Classes => _classes;

    /// <summary>The indices of Tiny ImageNet's classes by WordNet id.</summary>
    public IReadOnlyDictionary<string, int> BySynset =>
        _classes.Select((c, i) => (c, i)).Where(c => c.c.Synset.Length > 0).ToDictionary(c => c.c.Synset, c => c.i);

    /// <summary>Tiny ImageNet's validation images, which are not trained on; none if they are missing.</summary>
    public IReadOnlyList<Photograph> Validation(string data)
    {
        string folder = Path.Combine(data, TinyImageNet, "val");
        if (!Directory.Exists(folder))
            return [];
        IReadOnlyDictionary<string, int> classes = BySynset;
        return
        [
            .. File.ReadLines(Path.Combine(folder, "val_annotations.txt"))
                .Select(line => line.Split('\t'))
                .Select(cells => new Photograph(Path.Combine(folder, "images", cells[0]), classes[cells[1]], TinyImageNetSide)),
        ];
    }

    /// <summary>Decodes a photograph to [side, side, 3]: the largest centred square, resized as for prediction.</summary>
    public static byte[] Square(Photograph photograph)
    {
        RgbImage image = ImageDecoder.FromFile(photograph.Path);
        int side = Math.Min(image.Width, image.Height);
        var part = new PixelArea((image.Width - side) / 2, (image.Height - side) / 2, side, side);
        var whole = new PixelArea(0, 0, photograph.Side, photograph.Side);
        return side == photograph.Side
            ? CropResize.Cut(image, part, whole)
            : CropResize.Resize(image, part, photograph.Side, photograph.Side, whole);
    }

    private void AddTinyImageNet(string folder)
    {
        var names = File.ReadLines(Path.Combine(folder, "words.txt"))
            .Select(line => line.Split('\t', 2))
            .ToDictionary(cells => cells[0], cells => cells[1]);
        foreach (string synset in File.ReadLines(Path.Combine(folder, "wnids.txt")).Order(StringComparer.Ordinal))
        {
            _classes.Add(new PhotographClass(names[synset].Split(',')[0].Trim(), synset));
            foreach (string path in Files(Path.Combine(folder, "train", synset, "images"), "*.JPEG"))
                _photographs.Add(new Photograph(path, _classes.Count - 1, TinyImageNetSide));
        }
    }

    private void AddCaltech(string folder, HashSet<string> heldOut)
    {
        foreach (string path in Directory.EnumerateDirectories(folder).Order(StringComparer.Ordinal))
        {
            string name = Path.GetFileName(path);
            if (name == EasyFaces)
                continue;
            int index = -1;
            if (name != Background)
            {
                _classes.Add(new PhotographClass(CaltechNames.GetValueOrDefault(name, name.Replace('_', ' ')).ToLowerInvariant(), ""));
                index = _classes.Count - 1;
            }
            foreach (string file in Files(path, "*.jpg").Where(f => !heldOut.Contains($"{name}/{Path.GetFileName(f)}")))
                _photographs.Add(new Photograph(file, index, CaltechSide));
        }
    }

    private static IEnumerable<string> Files(string folder, string pattern) =>
        Directory.EnumerateFiles(folder, pattern).Order(StringComparer.Ordinal);

    /// <summary>Reads "folder/file" of every image listed in the tables.</summary>
    private static HashSet<string> HeldOut(string? folder)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        if (folder is null)
            return names;
        foreach (string table in Directory.EnumerateFiles(folder, "*.tsv"))
        foreach (string line in File.ReadLines(table).Skip(1))
            names.Add(string.Join('/', line.Split('\t')[0].Split('/')[^2..]));
        return names;
    }
}
