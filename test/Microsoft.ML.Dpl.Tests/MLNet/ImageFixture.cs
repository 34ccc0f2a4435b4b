using Microsoft.ML.Data;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML.Dpl.Tests.MLNet;

/// <summary>Small single-coloured images on disk, and views over them in every accepted form.</summary>
public sealed class ImageFixture : IDisposable
{
    public ImageFixture()
    {
        Folder = Directory.CreateTempSubdirectory("dpl-images-").FullName;
        for (int i = 0; i < Paths.Length; i++)
        {
            byte[] pixels = new byte[4 * 3 * 4];
            for (int p = 0; p < pixels.Length; p += 4)
            {
                pixels[p + i % 3] = (byte)(200 + i % 50);
                pixels[p + 3] = 255;
            }
            using var image = MLImage.CreateFromPixels(4, 3, MLPixelFormat.Rgba32, pixels);
            Paths[i] = Path.Combine(Folder, $"{i}.png");
            image.Save(Paths[i]);
        }
    }

    public string Folder { get; }

    public string[] Paths { get; } = new string[60];

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    /// <summary>A view with the columns Id, Label and Image, the latter two of the requested kinds.</summary>
    internal IDataView View(MLContext context, ImageForm form, LabelKind labels, int count = 60)
    {
        // Key values are in the order of the fake scorer's classes.
        List<Row> rows =
        [
            .. Enumerable
                .Range(0, count)
                .Select(i => new Row
                {
                    Id = i,
                    Path = Paths[i],
                    Label = FakeScorer.Classes[i % 3],
                }),
        ];
        IDataView view = context.Data.LoadFromEnumerable(rows);
        if (labels == LabelKind.Key)
            view = context.Transforms.Conversion.MapValueToKey("Label").Fit(view).Transform(view);
        return form switch
        {
            ImageForm.Image => context.Transforms.LoadImages("Image", imageFolder: null, "Path").Fit(view).Transform(view),
            ImageForm.Path => context.Transforms.CopyColumns("Image", "Path").Fit(view).Transform(view),
            _ => context.Transforms.LoadRawImageBytes("Image", imageFolder: null, "Path").Fit(view).Transform(view),
        };
    }

    public sealed class Row
    {
        public float Id { get; set; }
        public string Path { get; set; } = "";
        public string Label { get; set; } = "";
    }
}
