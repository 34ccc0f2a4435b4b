using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Models;

/// <summary>Makes transformers of model zips without libtorch, classifiers here; the package <c>Microsoft.ML.Dpl.OnnxRuntime</c> has
/// one.</summary>
internal interface IScoringBackend
{
    /// <param name="environment">The caller's.</param>
    /// <param name="reader">Our folder of the zip.</param>
    /// <param name="columns">What its main stream says.</param>
    /// <param name="json">Its <see cref="ModelZipFormat.DescriptionEntry"/>, from which <paramref name="description"/> comes.</param>
    /// <param name="description">It has a graph or CLIP's image tower.</param>
    /// <exception cref="InvalidDataException">An entry is missing or damaged; the message names it.</exception>
    ITransformer Load(IHostEnvironment environment, ModelReader reader, ModelColumns columns, string json, StoredDescription description);
}

/// <summary>Whether a model zip can be scored without libtorch.</summary>
/// <param name="Obstacle">Why it cannot, as a whole sentence; null: it can.</param>
/// <param name="Remedy">What to do about that where the model is saved, as a part of a sentence; null: nothing.</param>
internal sealed record LightScoring(string? Obstacle, string? Remedy);

/// <summary>Which backend scores a model that is being loaded.</summary>
internal static class ScoringBackend
{
    public const string Package = "Microsoft.ML.Dpl.OnnxRuntime";

    private const string TypeName = "Microsoft.ML.Dpl.OnnxRuntime.OnnxBackend";

    private static readonly AsyncLocal<IScoringBackend?> Asked = new();

    /// <summary>Loads models by this backend, whether libtorch is at hand or not, while an action runs.</summary>
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

    /// <summary>What is to score a model; null: libtorch.</summary>
    /// <param name="light">Whether the zip can be scored without.</param>
    /// <exception cref="InvalidOperationException">ONNX Runtime is asked for, but cannot score the zip.</exception>
    /// <exception cref="DllNotFoundException">There is neither libtorch nor what ONNX Runtime needs; the message has the ways
    /// out.</exception>
    public static IScoringBackend? For(LightScoring light)
    {
        if (Asked.Value is { } asked)
            return light.Obstacle is null
                ? asked
                : throw new InvalidOperationException(
                    light.Remedy is null ? light.Obstacle : $"{light.Obstacle} To score it by ONNX Runtime, {light.Remedy}."
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
                light.Obstacle is null ? $"Or go without libtorch: add the package {Package}, by which ONNX Runtime scores this model."
                : light.Remedy is null ? light.Obstacle
                : $"Or go without libtorch: {light.Remedy}, and add the package {Package} here.";
            throw new DllNotFoundException($"{e.Message} {way}", e);
        }
    }
}
