using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using SkiaSharp;

namespace Drawing.Tasks;

/// <summary>Writes a task as PNG files and the tables that name them.</summary>
public static class DrawnTaskFiles
{
    /// <summary>Width and height unless told otherwise, in pixels.</summary>
    public const int DefaultSize = 64;

    /// <summary>The smallest width and height, in pixels.</summary>
    public const int SmallestSize = 16;

    /// <summary>The largest width and height, in pixels.</summary>
    public const int LargestSize = 1024;

    /// <summary>
    /// Writes the files split/class/000.png … and the tables train.tsv, validation.tsv and test.tsv with the columns ImagePath and Label,
    /// separated by a tab; paths are relative to the table. Files of these names are overwritten, others left alone.
    /// </summary>
    /// <param name="task">What to draw.</param>
    /// <param name="folder">Where the three splits go; made if missing.</param>
    /// <param name="trainPerClass">Training images of each class, at least 1.</param>
    /// <param name="validationPerClass">Validation images of each class, at least 1.</param>
    /// <param name="testPerClass">Test images of each class, at least 1.</param>
    /// <param name="seed">Equal seeds give equal files.</param>
    /// <param name="size">Width and height in pixels, 16 to 1024.</param>
    /// <param name="written">Told of each image written.</param>
    /// <exception cref="ArgumentException">A number is out of its range.</exception>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public static void Write(
        DrawnTask task,
        string folder,
        int trainPerClass,
        int validationPerClass,
        int testPerClass,
        int seed,
        int size = DefaultSize,
        Action? written = null
    )
    {
        ArgumentNullException.ThrowIfNull(task);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        (string Name, int PerClass)[] splits = [("train", trainPerClass), ("validation", validationPerClass), ("test", testPerClass)];
        foreach (var (split, perClass) in splits)
            if (perClass < 1)
                throw new ArgumentException($"{perClass} {split} images per class: at least 1 is needed.");
        if (size is < SmallestSize or > LargestSize)
            throw new ArgumentException($"A size of {size} pixels: {SmallestSize} to {LargestSize} are possible.");

        foreach (var (split, perClass) in splits)
        {
            var table = new StringBuilder("ImagePath\tLabel\n");
            for (int classIndex = 0; classIndex < task.ClassNames.Count; classIndex++)
            {
                string className = task.ClassNames[classIndex],
                    relative = $"{split}/{className.Replace(' ', '_')}";
                Directory.CreateDirectory(Path.Combine(folder, relative));
                for (int index = 0; index < perClass; index++)
                {
                    string image = $"{relative}/{index:d3}.png";
                    File.WriteAllBytes(
                        Path.Combine(folder, image),
                        Png(task, classIndex, RandomFor(task, seed, split, classIndex, index), size)
                    );
                    table.Append($"{image}\t{className}\n");
                    written?.Invoke();
                }
            }
            File.WriteAllText(Path.Combine(folder, split + ".tsv"), table.ToString());
        }
    }

    /// <summary>The random numbers of one image: they depend on nothing but the arguments.</summary>
    /// <param name="task">Whose image.</param>
    /// <param name="seed">Of the whole set.</param>
    /// <param name="split">train, validation or test; any other word gives images outside all three.</param>
    /// <param name="classIndex">Of the task's class names.</param>
    /// <param name="index">Of the image within its class and split.</param>
    public static Random RandomFor(DrawnTask task, int seed, string split, int classIndex, int index)
    {
        ArgumentNullException.ThrowIfNull(task);
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{task.Name}/{seed}/{split}/{classIndex}/{index}"));
        return new Random(BinaryPrimitives.ReadInt32LittleEndian(hash) & int.MaxValue);
    }

    private static byte[] Png(DrawnTask task, int classIndex, Random random, int size)
    {
        using SKBitmap bitmap = task.Draw(classIndex, random, size);
        using SKData data = bitmap.Encode(SKEncodedImageFormat.Png, quality: 100);
        return data.ToArray();
    }
}
