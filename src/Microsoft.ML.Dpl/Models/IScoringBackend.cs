using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Models;

/// <summary>Creates classifiers from model zips without libtorch; implemented by the package <c>Microsoft.ML.Dpl.OnnxRuntime</c>.</summary>
internal interface IScoringBackend
{
    /// <param name="environment">The caller's environment.</param>
    /// <param name="reader">The model's folder in the zip.</param>
    /// <param name="columns">The content of the zip's main stream.</param>
    /// <param name="json">The text of the zip's <see cref="ModelZipFormat.DescriptionEntry"/>, from which <paramref name="description"/>
    /// was parsed.</param>
    /// <param name="description">The description of a zip that contains an ONNX graph or CLIP's image tower.</param>
    /// <exception cref="InvalidDataException">An entry is missing or damaged; the message names it.</exception>
    ITransformer Load(IHostEnvironment environment, ModelReader reader, ModelColumns columns, string json, StoredDescription description);
}

/// <summary>Whether a model zip can be scored without libtorch.</summary>
/// <param name="Obstacle">Why it cannot, as a complete sentence; null if it can.</param>
/// <param name="Remedy">How to save the model so that it can, as a clause; null if there is no way.</param>
internal sealed record LightScoring(string? Obstacle, string? Remedy);

/// <summary>Selects the backend that scores a model being loaded.</summary>
internal static class ScoringBackend
{
    public const string Package = "Microsoft.ML.Dpl.OnnxRuntime";

    private const string TypeName = "Microsoft.ML.Dpl.OnnxRuntime.OnnxBackend";

    private static readonly AsyncLocal<IScoringBackend?> Asked = new();

    /// <summary>Loads models with this backend while <paramref name="load"/> runs, even if libtorch is available.</summary>
    public static T Using<T>(IScoringBackend backend, Func<T> load)
    {
        IScoringBackend? before = Asked.Value;
        Asked.Value = backend;
        try
        {
            return load();
        }
        finally
        {
            Asked.Value = before;
        }
    }

    /// <summary>The backend that is to score a model; null for libtorch.</summary>
    /// <param name="light">Whether the zip can be scored without libtorch.</param>
    /// <exception cref="InvalidOperationException">The caller requested ONNX Runtime, but it cannot score the zip.</exception>
    /// <exception cref="DllNotFoundException">Neither libtorch nor what ONNX Runtime needs is available; the message lists the
    /// remedies.</exception>
    public static IScoringBackend? For(LightScoring light)
    {
        if (Asked.Value is { } asked)
            return light.Obstacle is null
                ? asked
                : throw new InvalidOperationException(
                    light.Remedy is null ? light.Obstacle : $"{light.Obstacle} To score it with ONNX Runtime, {light.Remedy}."
                );
        if (LibTorch.IsAtHand)
            return null;
        if (light.Obstacle is null && Companion.Find<IScoringBackend>(Package, TypeName) is { } found)
            return found;
        try
        {
            LibTorch.EnsureLoaded();
            return null;
        }
        catch (DllNotFoundException e)
        {
            string way =
                light.Obstacle is null ? $"Or do without libtorch: add the package {Package}, with which ONNX Runtime scores this model."
                : light.Remedy is null ? light.Obstacle
                : $"Or do without libtorch: {light.Remedy}, and add the package {Package} here.";
            throw new DllNotFoundException($"{e.Message} {way}", e);
        }
    }
}
