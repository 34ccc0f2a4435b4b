using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Models;

/// <summary>Makes a transformer of a model zip's graph without libtorch; the package <c>Microsoft.ML.Dpl.OnnxRuntime</c> has one.</summary>
internal interface IScoringBackend
{
    /// <param name="environment">The caller's.</param>
    /// <param name="reader">Our folder of the zip.</param>
    /// <param name="columns">What its main stream says.</param>
    /// <param name="json">Its <see cref="ModelZip.DescriptionEntry"/>, from which <paramref name="description"/> comes.</param>
    /// <param name="description">It has a graph.</param>
    /// <exception cref="InvalidDataException">An entry is missing or damaged; the message names it.</exception>
    ITransformer Load(IHostEnvironment environment, ModelReader reader, ModelColumns columns, string json, StoredDescription description);
}

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
    /// <param name="hasGraph">Whether the zip has a graph for ONNX Runtime.</param>
    /// <exception cref="InvalidOperationException">ONNX Runtime is asked for, but the zip has no graph.</exception>
    /// <exception cref="DllNotFoundException">There is neither libtorch nor what ONNX Runtime needs; the message has the ways
    /// out.</exception>
    public static IScoringBackend? For(bool hasGraph)
    {
        if (Asked.Value is { } asked)
            return hasGraph
                ? asked
                : throw new InvalidOperationException(
                    "The model zip has no graph for ONNX Runtime. Save the model again with "
                        + $"Contents = {nameof(DplModelContents)}.{nameof(DplModelContents.WithOnnx)}."
                );
        if (LibTorch.IsAtHand)
            return null;
        if (hasGraph && Companion.Find<IScoringBackend>(Package, TypeName) is { } found)
            return found;
        try
        {
            LibTorch.EnsureLoaded();
            return null;
        }
        catch (DllNotFoundException e)
        {
            throw new DllNotFoundException(
                $"{e.Message} Or go without libtorch: "
                    + (
                        hasGraph
                            ? $"add the package {Package}, by which ONNX Runtime scores this model."
                            : "where the model was trained, save it with "
                                + $"Contents = {nameof(DplModelContents)}.{nameof(DplModelContents.WithOnnx)}, and "
                                + $"add the package {Package} here."
                    ),
                e
            );
        }
    }
}
