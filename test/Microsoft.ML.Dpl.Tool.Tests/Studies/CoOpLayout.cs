using System.Text.Json;

namespace Microsoft.ML.Dpl.Tool.Tests.Studies;

/// <summary>Small data sets in the folder layout of CoOp's DATASETS.md, with dummy files in place of images.</summary>
internal static class CoOpLayout
{
    /// <summary>Folder, image folder and split file of the data sets with a split, with two classes each in the split's own order, which is
    /// not alphabetical.</summary>
    public static readonly (string Name, string Folder, string Images, string Split, string First, string Second)[] Splits =
    [
        ("caltech101", "caltech-101", "101_ObjectCategories", "Caltech101", "face", "airplane"),
        ("oxford-pets", "oxford_pets", "images", "OxfordPets", "pug", "abyssinian"),
        ("stanford-cars", "stanford_cars", "", "StanfordCars", "2012 Tesla Model S", "2000 AM General Hummer SUV"),
        ("flowers102", "oxford_flowers", "jpg", "OxfordFlowers", "rose", "anthurium"),
        ("food101", "food-101", "images", "Food101", "waffles", "apple_pie"),
        ("sun397", "sun397", "SUN397", "SUN397", "outdoor church", "abbey"),
        ("dtd", "dtd", "images", "DescribableTextures", "zigzagged", "banded"),
        ("eurosat", "eurosat", "2750", "EuroSAT", "Sea or Lake", "Annual Crop Land"),
        ("ucf101", "ucf101", "UCF-101-midframes", "UCF101", "Yo_Yo", "Apply_Eye_Makeup"),
    ];

    /// <summary>Writes all eleven data sets and the four variants of ImageNet.</summary>
    public static void Write(string root)
    {
        foreach (var (_, folder, images, split, first, second) in Splits)
        {
            string of = Path.Combine(root, folder, images);
            object[] Rows(string set, int count) =>
                [
                    .. new[] { (first, 0), (second, 1) }.SelectMany(one =>
                        Enumerable.Range(0, count).Select(i => (object)new object[] { $"c/{one.Item2}/{set}{i}.jpg", one.Item2, one.Item1 })
                    ),
                ];
            var sets = new
            {
                train = Rows("train", 3),
                val = Rows("val", 2),
                test = Rows("test", 1),
            };
            foreach (object row in sets.train.Concat(sets.val).Concat(sets.test))
                Image(Path.Combine(of, (string)((object[])row)[0]));
            File.WriteAllText(Path.Combine(root, folder, $"split_zhou_{split}.json"), JsonSerializer.Serialize(sets));
        }
        Aircraft(Path.Combine(root, "fgvc_aircraft"));
        ImageNets(root);
    }

    private static void Aircraft(string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllLines(Path.Combine(folder, "variants.txt"), ["707-320", "F-16A/B"]);
        foreach (string split in new[] { "train", "val", "test" })
        {
            File.WriteAllLines(Path.Combine(folder, $"images_variant_{split}.txt"), [$"{split}1 707-320", $"{split}2 F-16A/B"]);
            Image(Path.Combine(folder, "images", $"{split}1.jpg"));
            Image(Path.Combine(folder, "images", $"{split}2.jpg"));
        }
    }

    /// <summary>Three classes, two of which share a name, as some of OpenAI's class names do.</summary>
    private static void ImageNets(string root)
    {
        const string names = "n01 tench\nn02 missile\nn03 missile\n";
        void In(string folder, string images, params string[] classes)
        {
            Directory.CreateDirectory(Path.Combine(root, folder));
            File.WriteAllText(Path.Combine(root, folder, "classnames.txt"), names);
            foreach (string name in classes)
                Image(Path.Combine(root, folder, images, name, "b.JPEG"));
            File.WriteAllText(Path.Combine(root, folder, images, "README.txt"), "about");
        }
        In("imagenet", "images/train", "n01", "n02", "n03");
        In("imagenet", "images/val", "n01", "n02", "n03");
        In("imagenetv2", "imagenetv2-matched-frequency-format-val", "0", "1", "2");
        In("imagenet-sketch", "images", "n01", "n02", "n03");
        In("imagenet-adversarial", "imagenet-a", "n01", "n03");
        In("imagenet-rendition", "imagenet-r", "n01", "n03");
    }

    private static void Image(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, "");
    }
}
