using SkiaSharp;

namespace Drawing.Tasks;

/// <summary>An overview image of a task: one row per class with its name and a few of its images.</summary>
public static class ContactSheet
{
    private const int Gap = 4,
        NameWidth = 190;

    /// <summary>Writes a task's contact sheet as a PNG file, with images that are in none of the splits. The class names require an
    /// installed font.</summary>
    /// <param name="task">The task to show.</param>
    /// <param name="file">Path of the PNG file.</param>
    /// <param name="seed">Equal seeds give equal sheets.</param>
    /// <param name="size">Width and height of an image in pixels, 16 to 1024.</param>
    /// <param name="perClass">Number of images in a row, at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is out of its range.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Write(DrawnTask task, string file, int seed, int size = DrawnTaskFiles.DefaultSize, int perClass = 8)
    {
        ArgumentNullException.ThrowIfNull(task);
        ArgumentOutOfRangeException.ThrowIfLessThan(perClass, 1);
        int row = size + Gap;
        using var sheet = new SKBitmap(NameWidth + perClass * row, task.ClassNames.Count * row + Gap);
        using var canvas = new SKCanvas(sheet);
        canvas.Clear(SKColors.White);
        using var ink = new SKPaint
        {
            Color = SKColors.Black,
            IsAntialias = true,
            TextSize = 15,
        };
        for (int classIndex = 0; classIndex < task.ClassNames.Count; classIndex++)
        {
            int top = Gap + classIndex * row;
            canvas.DrawText(task.ClassNames[classIndex], 8, top + size / 2f + 5, ink);
            for (int index = 0; index < perClass; index++)
            {
                using SKBitmap image = task.Draw(classIndex, DrawnTaskFiles.RandomFor(task, seed, "sheet", classIndex, index), size);
                canvas.DrawBitmap(image, NameWidth + index * row, top);
            }
        }
        canvas.Flush();
        using SKData data = sheet.Encode(SKEncodedImageFormat.Png, quality: 100);
        File.WriteAllBytes(file, data.ToArray());
    }
}
