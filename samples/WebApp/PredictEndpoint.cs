using Microsoft.Extensions.Options;

namespace WebApp;

/// <summary>A class and its probability, 0 to 1.</summary>
internal sealed record ClassProbability(string Name, double Probability);

/// <summary>The model's prediction for an image.</summary>
/// <param name="Class">The most probable class.</param>
/// <param name="Classes">All classes, the most probable first; the probabilities sum to 1.</param>
/// <param name="HeatMap">The location of the evidence; null if it was not requested, or if the server has no libtorch.</param>
internal sealed record Prediction(string Class, IReadOnlyList<ClassProbability> Classes, HeatMap? HeatMap);

/// <summary>The endpoint POST /predict.</summary>
internal static class PredictEndpoint
{
    /// <param name="context">The context of the request, whose body is the image.</param>
    /// <param name="heatMap">Whether the response includes a heat map.</param>
    /// <param name="heatMapClass">The class of the heat map; null: the most probable one.</param>
    /// <param name="host">Provides the model.</param>
    /// <param name="queue">Scores the image.</param>
    /// <param name="heatMaps">Computes the heat map.</param>
    /// <param name="memory">Limits the memory of all uploads together.</param>
    /// <param name="options">The limits.</param>
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
            // Not cancelled with the request: a forward pass under way still uses the image, whose memory must stay counted.
            float[] scores = await answer;
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
