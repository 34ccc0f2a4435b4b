using Microsoft.Extensions.Options;

namespace WebApp;

/// <summary>A class and how probable it is, 0 to 1.</summary>
internal sealed record ClassProbability(string Name, double Probability);

/// <summary>What the model says of a picture.</summary>
/// <param name="Class">The most probable class.</param>
/// <param name="Classes">All classes, the most probable first; the probabilities sum to 1.</param>
internal sealed record Prediction(string Class, IReadOnlyList<ClassProbability> Classes);

/// <summary>POST /predict.</summary>
internal static class PredictEndpoint
{
    public static async Task<IResult> Handle(HttpContext context, ModelHost host, PredictionQueue queue, IOptions<ClassifierOptions> options)
    {
        CancellationToken cancellation = context.RequestAborted;
        var (picture, problem) = await Upload.Read(context.Request, options.Value.MaxUploadBytes, cancellation);
        problem ??= Check(picture, options.Value.MaxPixels);
        if (problem is not null) return problem;

        if (host.Model is not { } model) return Problems.NotReady(context);
        if (!queue.TryAdd(picture, cancellation, out Task<float[]>? answer)) return Problems.Busy(context);
        try
        {
            float[] scores = await answer.WaitAsync(cancellation);
            ClassProbability[] classes = [.. model.ClassNames.Zip(scores, (name, score) => new ClassProbability(name, score)).OrderByDescending(c => c.Probability)];
            return TypedResults.Ok(new Prediction(classes[0].Name, classes));
        }
        catch (UndecodablePictureException)
        {
            return Problems.Broken();
        }
    }

    private static IResult? Check(byte[] picture, long maxPixels)
    {
        if (!PictureCheck.HasPictureSignature(picture)) return Problems.NoPicture();
        if (PictureCheck.Size(picture) is not var (width, height)) return Problems.Broken();
        return (long)width * height > maxPixels ? Problems.TooManyPixels(width, height, maxPixels) : null;
    }
}
