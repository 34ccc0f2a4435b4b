using System.Globalization;
using Microsoft.AspNetCore.Http.HttpResults;

namespace WebApp;

/// <summary>Everything that can be wrong with a request, as RFC 9457 problem details that say what happened and what to do.</summary>
internal static class Problems
{
    public static ProblemHttpResult Empty() =>
        Problem(
            StatusCodes.Status400BadRequest,
            "There is no image in the request",
            "Send an image file as the body, or one file in a multipart form."
        );

    public static ProblemHttpResult BrokenForm() =>
        Problem(
            StatusCodes.Status400BadRequest,
            "The multipart form cannot be read",
            "Send an image file as the body, or one file in a well-formed multipart form."
        );

    public static ProblemHttpResult SeveralFiles() =>
        Problem(
            StatusCodes.Status400BadRequest,
            "There is more than one file in the request",
            "Send one image in a request; requests may come at the same time."
        );

    public static ProblemHttpResult TooManyBytes(int limit) =>
        Problem(
            StatusCodes.Status413PayloadTooLarge,
            "The file is too large",
            string.Create(
                CultureInfo.InvariantCulture,
                $"At most {limit / 1048576.0:0.##} MiB are accepted. Make the image smaller and send it again; a thousand pixels a side "
                    + $"are plenty."
            )
        );

    public static ProblemHttpResult TooSlow(int seconds) =>
        Problem(
            StatusCodes.Status408RequestTimeout,
            "The file came too slowly",
            $"It must arrive within {seconds} seconds. Make the image smaller and send it again."
        );

    public static ProblemHttpResult TooManyPixels(int width, int height, long limit) =>
        Problem(
            StatusCodes.Status413PayloadTooLarge,
            "The image has too many pixels",
            string.Create(
                CultureInfo.InvariantCulture,
                $"It has {width} × {height} pixels; at most {limit:#,0} are accepted. Make it smaller and send it again; a thousand pixels "
                    + $"a side are plenty."
            )
        );

    public static ProblemHttpResult NoImage() =>
        Problem(
            StatusCodes.Status415UnsupportedMediaType,
            "The file is not an image",
            "Send a PNG, JPEG, WebP, GIF or BMP file. The content decides, not the name."
        );

    public static ProblemHttpResult Broken() =>
        Problem(
            StatusCodes.Status422UnprocessableEntity,
            "The image cannot be decoded",
            "The file begins like an image, but is damaged or cut short. Save the image again and send that."
        );

    public static ProblemHttpResult UnknownClass(string name, IEnumerable<string> known) =>
        Problem(
            StatusCodes.Status400BadRequest,
            $"There is no class '{name}'",
            $"Ask for the heat map of one of: {string.Join(", ", known)}."
        );

    public static IResult NotReady(HttpContext context) =>
        Later(
            context,
            seconds: 5,
            "The model is not ready yet",
            "It is being loaded or made. Send the image again in a few seconds; /health shows the progress."
        );

    public static IResult Busy(HttpContext context) =>
        Later(context, seconds: 1, "Too many images are waiting", "Send the image again in a second.");

    public static IResult TooManyUploads(HttpContext context) =>
        Later(context, seconds: 5, "Too many images are being sent", "Send the image again in a few seconds.");

    private static ProblemHttpResult Later(HttpContext context, int seconds, string title, string detail)
    {
        context.Response.Headers.RetryAfter = $"{seconds}";
        return Problem(StatusCodes.Status503ServiceUnavailable, title, detail);
    }

    private static ProblemHttpResult Problem(int status, string title, string detail) =>
        TypedResults.Problem(detail, statusCode: status, title: title);
}
