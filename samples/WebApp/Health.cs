using Microsoft.Extensions.Options;

namespace WebApp;

/// <summary>The state of the server.</summary>
/// <param name="Status">ready or starting.</param>
/// <param name="Model">The model's name; null while starting.</param>
/// <param name="Classes">The number of classes; null while starting.</param>
/// <param name="ApplyExifOrientation">Whether the model rotates and mirrors images according to their EXIF orientation; null while
/// starting.</param>
/// <param name="Progress">Completed fraction of the demo model's training, 0 to 1; null if none is trained or the model is ready.</param>
/// <param name="Waiting">Number of images in the queue.</param>
/// <param name="Images">Number of images classified since the start.</param>
/// <param name="Batches">Number of forward passes since the start.</param>
/// <param name="MaxUploadBytes">The largest accepted image file, in bytes.</param>
internal sealed record Health(
    string Status,
    string? Model,
    int? Classes,
    bool? ApplyExifOrientation,
    double? Progress,
    int Waiting,
    long Images,
    long Batches,
    int MaxUploadBytes
)
{
    /// <summary>Responds with status 200 when images can be classified and 503 while the model is being loaded or trained.</summary>
    public static IResult Report(ModelHost host, PredictionQueue queue, IOptions<ClassifierOptions> options)
    {
        ServedModel? model = host.Model;
        var health = new Health(
            model is null ? "starting" : "ready",
            model?.Name,
            model?.ClassNames.Count,
            model?.ApplyExifOrientation,
            model is null ? host.Progress : null,
            queue.Length,
            queue.Images,
            queue.Batches,
            options.Value.MaxUploadBytes
        );
        return TypedResults.Json(health, statusCode: model is null ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK);
    }
}
