using Microsoft.Extensions.Options;

namespace WebApp;

/// <summary>A class and how probable it is, 0 to 1.</summary>
internal sealed record ClassProbability(string Name, double Probability);

/// <summary>What the model says of an image.</summary>
/// <param name="Class">The most probable class.</param>
/// <param name="Classes">All classes, the most probable first; the probabilities sum to 1.</param>
/// <param name="HeatMap">Where the evidence lies; null where it was not asked for, or where the server has no
/// libtorch.</param>
internal sealed record Prediction(string Class, IReadOnlyList<ClassProbability> Classes, HeatMap? HeatMap);

/// <summary>POST /predict.</summary>
internal static class PredictEndpoint
{
    /// <param name="context">Its body is the image.</param>
    /// <param name="heatMap">Whether the answer has a heat map.</param>
    /// <param name="heatMapClass">The heat map's class; the most probable unless given.</param>
    /// <param name="host">Has the model.</param>
    /// <param name="queue">Scores.</param>
    /// <param name="heatMaps">Explains.</param>
    /// <param name="memory">Bounds what all uploads hold together.</param>
    /// <param name="options">Limits.</param>
    public static async Task<IResult> Handle(
        HttpContext context,
        bool? heatMap,
        string? heatMapClass,
        ModelHost host,
        PredictionQueue queue,
        HeatMaps heatMaps,
        UploadMemory memory,
        IOptions<ClassifierOptions> options
    )
    {
        CancellationToken cancellationToken = context.RequestAborted;
        using UploadMemory.Share share = memory.Open();
        var (image, problem) = await Upload.Read(context, options.Value, share);
        problem ??= Check(image, options.Value.MaxPixels);
        if (problem is not null)
            return problem;

        if (host.Model is not { } model)
            return Problems.NotReady(context);
        if (heatMapClass is not null && !model.ClassNames.Contains(heatMapClass))
            return Problems.UnknownClass(heatMapClass, model.ClassNames);
        if (!queue.TryAdd(image, cancellationToken, out Task<float[]>? answer))
            return Problems.Busy(context);
        try
        {
            float[] scores = await answer.WaitAsync(cancellationToken);
            ClassProbability[] classes =
            [
                .. model.ClassNames.Zip(scores, (name, score) => new ClassProbability(name, score)).OrderByDescending(c => c.Probability),
            ];
            if (heatMap is not true || !model.Explains)
                return TypedResults.Ok(new Prediction(classes[0].Name, classes, HeatMap: null));
            HeatMap? map = await heatMaps.Draw(model, image, heatMapClass ?? classes[0].Name, cancellationToken);
            return map is null ? Problems.Busy(context) : TypedResults.Ok(new Prediction(classes[0].Name, classes, map));
        }
        catch (UndecodableImageException)
        {
            return Problems.Broken();
        }
    }

    private static IResult? Check(byte[] image, long maxPixels)
    {
        if (!ImageCheck.HasImageSignature(image))
            return Problems.NoImage();
        if (ImageCheck.Size(image) is not var (width, height))
            return Problems.Broken();
        return (long)width * height > maxPixels ? Problems.TooManyPixels(width, height, maxPixels) : null;
    }
}
