using SkiaSharp;

namespace Microsoft.ML.Dpl.Tests.Samples;

/// <summary>Writes a few images, tables and words in the layouts of the sources of the training on photographs.</summary>
internal static class PhotographFiles
{
    /// <summary>The folder of Tiny ImageNet.</summary>
    public const string TinyImageNet = "tiny-imagenet-200";

    /// <summary>Writes Tiny ImageNet with two classes of four photographs and one validation image.</summary>
    /// <param name="data">Folder of the data sets.</param>
    public static void WriteTinyImageNet(string data)
    {
        string folder = Path.Combine(data, TinyImageNet);
        Directory.CreateDirectory(Path.Combine(folder, "val", "images"));
        File.WriteAllText(Path.Combine(folder, "wnids.txt"), "n00000004\nn00000003\n");
        File.WriteAllText(Path.Combine(folder, "words.txt"), "n00000003\ttabby, tabby cat\nn00000004\tsports car, sport car\n");
        foreach (string synset in new[] { "n00000003", "n00000004" })
            for (int i = 0; i < 4; i++)
                Paint(Path.Combine(folder, "train", synset, "images", $"{synset}_{i}.JPEG"), 64, 64, i);
        Paint(Path.Combine(folder, "val", "images", "val_0.JPEG"), 64, 64, 1);
        File.WriteAllText(Path.Combine(folder, "val", "val_annotations.txt"), "val_0.JPEG\tn00000004\t0\t32\t44\t62\n");
    }

    /// <summary>Writes Caltech101 with two classes, background and faces, and a table that holds one of its photographs out.</summary>
    /// <param name="data">Folder of the data sets.</param>
    /// <param name="heldOut">Folder of the table.</param>
    public static void WriteCaltech(string data, string heldOut)
    {
        string folder = Path.Combine(data, "caltech101", "101_ObjectCategories");
        foreach (var (name, count) in new[] { ("airplanes", 3), ("wild_cat", 3), ("BACKGROUND_Google", 1), ("Faces_easy", 2) })
            for (int i = 1; i <= count; i++)
                Paint(Path.Combine(folder, name, $"image_000{i}.jpg"), 150, 100, i);
        Directory.CreateDirectory(heldOut);
        File.WriteAllText(Path.Combine(heldOut, "test.tsv"), "ImagePath\tLabel\nimages/airplanes/image_0002.jpg\tairplane\n");
    }

    /// <summary>Five entries in WordNet's format: a tabby is a cat, a cat is an animal, an animal is an organism; a sports car has
    /// no hypernym.</summary>
    public static void WriteWordNet(string folder)
    {
        File.WriteAllLines(
            Path.Combine(folder, "data.noun"),
            [
                "  1 This is the licence.",
                "00000001 05 n 02 cat 0 true_cat 0 001 @ 00000002 n 0000 | feline mammal; \"cats sleep\"",
                "00000002 05 n 01 animal 0 001 @ 00000005 n 0000 | a living organism",
                "00000003 05 n 02 tabby 0 tabby_cat 0 002 %p 00000002 n 0000 @ 00000001 n 0000 | a cat with a striped coat",
                "00000004 06 n 02 sports_car 0 sport_car 0 000 | a small low car with a high-powered engine",
                "00000005 03 n 01 organism 0 000 | a living thing",
            ]
        );
        File.WriteAllLines(
            Path.Combine(folder, "index.noun"),
            ["  1 This is the licence.", "cat n 2 1 @ 2 1 00000001 00000004", "tabby n 1 1 @ 1 0 00000003"]
        );
    }

    /// <summary>Writes a dark image with a bright half on one of the four sides.</summary>
    public static void Paint(string path, int width, int height, int side)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using var bitmap = new SKBitmap(width, height);
        bitmap.Erase(new SKColor(30, 40, 50));
        using (var canvas = new SKCanvas(bitmap))
        using (var paint = new SKPaint { Color = new SKColor(230, 220, 210) })
            canvas.DrawRect(
                side % 4 == 1 ? width / 2f : 0,
                side % 4 == 3 ? height / 2f : 0,
                side % 2 == 1 ? width / 2f : width,
                side % 2 == 0 ? height / 2f : height,
                paint
            );
        using SKData data = bitmap.Encode(SKEncodedImageFormat.Jpeg, 95);
        File.WriteAllBytes(path, data.ToArray());
    }
}
