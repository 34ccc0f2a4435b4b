using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>A row with the image in every accepted form.</summary>
public sealed class LabelledImage
{
    public string ImagePath { get; set; } = "";

    public byte[] ImageBytes { get; set; } = [];

    public string Label { get; set; } = "";

    public float Other { get; set; }

    public float Weight { get; set; } = 1;
}

/// <summary>Noisy images of plain colours as PNG files, some of each class.</summary>
public sealed class ColourImages : IDisposable
{
    private static readonly (string Name, int R, int G, int B)[] Colours =
    [
        ("red", 220, 30, 30),
        ("green", 30, 200, 40),
        ("blue", 40, 40, 230),
    ];

    private readonly TemporaryFolder _folder = new();

    public ColourImages()
    {
        Train = Draw("train", perClass: 6);
        Test = Draw("test", perClass: 5);
    }

    /// <summary>18 rows of 3 classes, shuffled.</summary>
    public IReadOnlyList<LabelledImage> Train { get; }

    /// <summary>15 rows of 3 classes, shuffled.</summary>
    public IReadOnlyList<LabelledImage> Test { get; }

    public string Folder => _folder.FullPath;

    public void Dispose() => _folder.Dispose();

    private List<LabelledImage> Draw(string set, int perClass)
    {
        Random random = Seeds.Random(11, set);
        var rows = new List<LabelledImage>();
        for (int i = 0; i < perClass; i++)
        {
            foreach (var (name, r, g, b) in Colours)
            {
                int width = 30 + random.Next(20),
                    height = 26 + random.Next(20);
                var pixels = new byte[4 * width * height];
                for (int p = 0; p < pixels.Length; p += 4)
                {
                    byte Noisy(int level) => (byte)Math.Clamp(level + random.Next(-25, 26), 0, 255);
                    (pixels[p], pixels[p + 1], pixels[p + 2], pixels[p + 3]) = (Noisy(b), Noisy(g), Noisy(r), 255);
                }
                string path = _folder.File($"{set}-{name}-{i}.png");
                using (MLImage image = MLImage.CreateFromPixels(width, height, MLPixelFormat.Bgra32, pixels))
                    image.Save(path);
                rows.Add(
                    new LabelledImage
                    {
                        ImagePath = path,
                        ImageBytes = File.ReadAllBytes(path),
                        Label = name,
                        Other = i,
                    }
                );
            }
        }
        return rows;
    }
}
