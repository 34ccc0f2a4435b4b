using System.ComponentModel.DataAnnotations;

namespace WebApp;

/// <summary>
/// The configuration section Classifier; <c>--model</c>, <c>--clip</c> and <c>--demo</c> on the command line set the first three
/// properties.
/// </summary>
internal sealed class ClassifierOptions
{
    public const string Section = "Classifier";

    /// <summary>The model zip to serve. Null: a small demo model is trained at the first start.</summary>
    public string? Model { get; set; }

    /// <summary>The CLIP that the model was trained on, if it has been moved since. Null: the model finds it.</summary>
    public string? Clip { get; set; }

    /// <summary>
    /// The images of the demo model: drawn, or eurosat for satellite photographs, which are much harder for the embedded CLIP.
    /// </summary>
    [AllowedValues(DemoImages.Drawn, DemoImages.Tiles)]
    public string Demo { get; set; } = DemoImages.Drawn;

    /// <summary>Folder of the demo models and their example images, with a subfolder for each demo. Null: the folder demo next to the
    /// program.</summary>
    public string? DemoFolder { get; set; }

    /// <summary>The largest image file, in bytes.</summary>
    [Range(1024, 1 << 30)]
    public int MaxUploadBytes { get; set; } = 10 << 20;

    /// <summary>The maximum memory of all uploads together, in bytes; uploads beyond it are rejected with status 503.</summary>
    [Range(1024, 1L << 40)]
    public long MaxUploadMemoryBytes { get; set; } = 256 << 20;

    /// <summary>How long a client may take to send an image, in seconds; slower requests fail with status 408.</summary>
    [Range(1, 3600)]
    public int MaxUploadSeconds { get; set; } = 30;

    /// <summary>The maximum number of open connections; connections beyond it are closed immediately.</summary>
    [Range(1, 65536)]
    public int MaxConnections { get; set; } = 512;

    /// <summary>The largest image, as width × height in pixels. A file of a few bytes can claim any size, so this is checked before a pixel
    /// is decoded.</summary>
    [Range(1, 1 << 28)]
    public long MaxPixels { get; set; } = 50_000_000;

    /// <summary>The maximum number of waiting images; images beyond it are rejected with status 503.</summary>
    [Range(1, 65536)]
    public int QueueLength { get; set; } = 128;

    /// <summary>The maximum number of images in one forward pass.</summary>
    [Range(1, 1024)]
    public int MaxBatch { get; set; } = 16;

    /// <summary>How long the first image of a batch waits for others, in milliseconds.</summary>
    [Range(0, 1000)]
    public int BatchWaitMilliseconds { get; set; } = 5;

    /// <summary>The number of concurrent forward passes. One already uses all cores; more pay off only if the decoding of large photographs
    /// dominates.</summary>
    [Range(1, 64)]
    public int Workers { get; set; } = 1;
}
