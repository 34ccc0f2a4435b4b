using Microsoft.Extensions.Options;

namespace WebApp;

/// <summary>How the server is.</summary>
/// <param name="Status">ready or starting.</param>
/// <param name="Model">The model's name; null while starting.</param>
/// <param name="Classes">The number of classes; null while starting.</param>
/// <param name="Progress">How much of the small model's training is done, 0 to 1; null where none is trained.</param>
/// <param name="Waiting">Images in the queue.</param>
/// <param name="Images">Images classified since the start.</param>
/// <param name="Batches">Forward passes since the start.</param>
/// <param name="MaxUploadBytes">The largest image file.</param>
internal sealed record Health(
    string Status,
    string? Model,
    int? Classes,
    double? Progress,
    int Waiting,
    long Images,
    long Batches,
    int MaxUploadBytes
)
{
    /// <summary>Status 200 when images can be classified, 503 while the model is being loaded or made.</summary>
    public static IResult Report(ModelHost host, PredictionQueue queue, IOptions<ClassifierOptions> options)
    {
        ServedModel? model = host.Model;
        var health = new Health(
            model is null ? "starting" : "ready",
            model?.Name,
            model?.ClassNames.Count,
            model is null ? host.Progress : null,
            queue.Length,
            queue.Images,
            queue.Batches,
            options.Value.MaxUploadBytes
        );
        return TypedResults.Json(health, statusCode: model is null ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK);
    }
}
