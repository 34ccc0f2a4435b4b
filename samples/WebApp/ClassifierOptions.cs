using System.ComponentModel.DataAnnotations;

namespace WebApp;

/// <summary>
/// The section Classifier of the configuration; <c>--model</c>, <c>--clip</c> and <c>--demo</c> on the command line set the first three.
/// </summary>
internal sealed class ClassifierOptions
{
    public const string Section = "Classifier";

    /// <summary>The model zip to serve. Null: a small one is made at the first start.</summary>
    public string? Model { get; set; }

    /// <summary>The CLIP that the model was trained on, where it is not where it lay then. Null: the model finds it.</summary>
    public string? Clip { get; set; }

    /// <summary>
    /// The images of the small model: drawn, or eurosat for satellite photographs, which are much harder for the CLIP that comes along.
    /// </summary>
    [AllowedValues(DemoImages.Drawn, DemoImages.Tiles)]
    public string Demo { get; set; } = DemoImages.Drawn;

    /// <summary>Keeps small models and their example images, in a folder for each demo. Null: the folder demo beside the program.</summary>
    public string? DemoFolder { get; set; }

    /// <summary>The largest image file, in bytes.</summary>
    [Range(1024, 1 << 30)]
    public int MaxUploadBytes { get; set; } = 10 << 20;

    /// <summary>The most bytes that all uploads together hold in memory; those beyond are turned away with status 503.</summary>
    [Range(1024, 1L << 40)]
    public long MaxUploadMemoryBytes { get; set; } = 256 << 20;

    /// <summary>How long a client may take to send an image, in seconds; then it is answered with status 408.</summary>
    [Range(1, 3600)]
    public int MaxUploadSeconds { get; set; } = 30;

    /// <summary>Open connections; those beyond are closed at once.</summary>
    [Range(1, 65536)]
    public int MaxConnections { get; set; } = 512;

    /// <summary>The largest image, width × height. A file of a few bytes can claim any size, so this is checked before a pixel is
    /// decoded.</summary>
    [Range(1, 1 << 28)]
    public long MaxPixels { get; set; } = 50_000_000;

    /// <summary>Images that may wait; those beyond are turned away with status 503.</summary>
    [Range(1, 65536)]
    public int QueueLength { get; set; } = 128;

    /// <summary>The most images in one forward pass.</summary>
    [Range(1, 1024)]
    public int MaxBatch { get; set; } = 16;

    /// <summary>How long the first image of a batch waits for others, in milliseconds.</summary>
    [Range(0, 1000)]
    public int BatchWaitMilliseconds { get; set; } = 5;

    /// <summary>Forward passes at the same time. One uses all cores already; more pay where decoding of large photographs
    /// dominates.</summary>
    [Range(1, 64)]
    public int Workers { get; set; } = 1;
}
