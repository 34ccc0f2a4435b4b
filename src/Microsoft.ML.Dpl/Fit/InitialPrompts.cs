using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>The prompts of an earlier model from which training continues. Owns the rows.</summary>
internal sealed class InitialPrompts : IDisposable
{
    /// <param name="rows">Prompts of fixed lengths; ownership is transferred.</param>
    /// <param name="classes">The classes, in the order of the model's scores.</param>
    /// <param name="temperature">Divisor of CLIP's logits, above 0.</param>
    public InitialPrompts(PromptRows rows, IReadOnlyList<string> classes, double temperature)
    {
        (Rows, Classes, Temperature) = (rows, classes, temperature);
        using Tensor divisor = tensor(temperature, ScalarType.Float64);
        Sha256 = TensorDigest.Compute(
            Named("text", rows.Text)
                .Concat(Named("image", rows.Image))
                .Concat(rows.Context is { } context ? [KeyValuePair.Create("context", context.Vectors)] : [])
                .Concat(rows.ClassOffsets is { } offsets ? [KeyValuePair.Create("task_residual", offsets)] : [])
                .Append(KeyValuePair.Create("temperature", divisor))
        );
    }

    public PromptRows Rows { get; }

    public IReadOnlyList<string> Classes { get; }

    public double Temperature { get; }

    /// <summary>Hash of all prompts and the temperature, for the fingerprint.</summary>
    public string Sha256 { get; }

    /// <summary>Copies for training. The caller owns them.</summary>
    /// <param name="device">The device to train on.</param>
    /// <param name="residualScale">α of the trained residual, which starts from the model's or, if it has none, from zero; null: no
    /// residual.</param>
    /// <param name="embeddingWidth">Width of CLIP's embedding.</param>
    public PromptSet Prompts(Device device, double? residualScale, int embeddingWidth) =>
        new(
            new BranchPair<IFixedBranch>(Text: new FixedBranch(Rows.Text, device), Image: new FixedBranch(Rows.Image, device)),
            Rows.Context is { } context ? new InputContext(context.Layout, context.Vectors, device) : null,
            residualScale is not double scale ? null
                : Rows.ClassOffsets is { } offsets ? TaskResidual.From(offsets, scale, device)
                : TaskResidual.Create(Classes.Count, embeddingWidth, scale, device)
        );

    /// <exception cref="InvalidOperationException">The data has other classes, or the same ones in another order.</exception>
    public void Require(LabelClasses classes)
    {
        if (!classes.Names.SequenceEqual(Classes, StringComparer.Ordinal))
            throw new InvalidOperationException(
                $"The model to continue from has the classes {Listed(Classes)}, but the data has {Listed(classes.Names)}: they must be the "
                    + "same, in the same order. Create the label's key from the model's ClassNames (keyData of MapValueToKey), or train "
                    + "from scratch."
            );
    }

    /// <exception cref="InvalidOperationException">The class texts have another context than the model.</exception>
    public void Require(ContextLayout? context)
    {
        if (context != Rows.Context?.Layout)
            throw new InvalidOperationException(
                $"The model to continue from has a context of {Rows.Context?.Layout.Length ?? 0} vectors in its texts, but Design.Context "
                    + $"asks for {context?.Length ?? 0}: give the same length."
            );
    }

    public void Dispose() => Rows.Dispose();

    private static IEnumerable<KeyValuePair<string, Tensor>> Named(string branch, IReadOnlyList<Tensor?> layers) =>
        layers
            .Select((rows, layer) => (rows, layer))
            .Where(l => l.rows is not null)
            .Select(l => KeyValuePair.Create($"{branch}.{l.layer:d4}", l.rows!));

    private static string Listed(IReadOnlyList<string> names)
    {
        const int most = 10;
        return string.Join(", ", names.Take(most).Select(name => $"'{name}'")) + (names.Count > most ? ", …" : "");
    }
}
