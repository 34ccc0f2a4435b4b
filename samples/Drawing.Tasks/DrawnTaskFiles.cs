using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using SkiaSharp;

namespace Drawing.Tasks;

/// <summary>Writes a task as PNG files and tables of these files.</summary>
public static class DrawnTaskFiles
{
    /// <summary>The default width and height, in pixels.</summary>
    public const int DefaultSize = 64;

    /// <summary>The smallest width and height, in pixels.</summary>
    public const int SmallestSize = 16;

    /// <summary>The largest width and height, in pixels.</summary>
    public const int LargestSize = 1024;

    /// <summary>
    /// Writes the files split/class/000.png … and the tables train.tsv, validation.tsv and test.tsv with the columns ImagePath and Label,
    /// separated by a tab; paths are relative to the table's folder. Files of these names are overwritten, others are left as they are.
    /// </summary>
    /// <param name="task">The task to draw.</param>
    /// <param name="folder">Folder of the three splits, created if missing.</param>
    /// <param name="trainPerClass">Number of training images per class, at least 1.</param>
    /// <param name="validationPerClass">Number of validation images per class, at least 1.</param>
    /// <param name="testPerClass">Number of test images per class, at least 1.</param>
    /// <param name="seed">Equal seeds give equal files.</param>
    /// <param name="size">Width and height in pixels, 16 to 1024.</param>
    /// <param name="written">Called after each image that is written; may be null.</param>
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

    /// <summary>Creates the random numbers of one image, which depend only on the arguments.</summary>
    /// <param name="task">The task of the image.</param>
    /// <param name="seed">The seed of the whole set.</param>
    /// <param name="split">train, validation or test; any other word gives images that are in none of the three.</param>
    /// <param name="classIndex">Index of the class in the task's class names.</param>
    /// <param name="index">Index of the image within its class and split.</param>
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
