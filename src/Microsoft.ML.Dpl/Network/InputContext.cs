using Microsoft.ML.Dpl.Clip;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>How the learned context vectors are placed in the texts of the classes.</summary>
/// <param name="Length">Number of vectors in each text, at least 1.</param>
/// <param name="Position">Their position relative to the class name.</param>
/// <param name="ClassSpecific">Whether each class has its own vectors.</param>
internal sealed record ContextLayout(int Length, ContextPosition Position, bool ClassSpecific)
{
    /// <summary>The longest context that leaves room for the start token, one token of a name, the full stop and the end token.</summary>
    public static int LongestOf(ClipConfig config) => config.ContextLength - 4;

    /// <summary>Number of vectors for this number of classes.</summary>
    public int VectorCount(int classes) => ClassSpecific ? Length * classes : Length;

    /// <summary>A class's text with the context in it: a value of at least 0 is a token id, −1 − j stands for context vector j.</summary>
    /// <param name="text">Token ids: start, name, what follows the name, end.</param>
    /// <param name="nameLength">Tokens of the name.</param>
    /// <param name="classIndex">The class, from 0.</param>
    public int[] Arrange(IReadOnlyList<int> text, int nameLength, int classIndex)
    {
        int first = ClassSpecific ? classIndex * Length : 0;
        int before = Position switch
        {
            ContextPosition.End => Length,
            ContextPosition.Middle => Length / 2,
            _ => 0,
        };
        IEnumerable<int> vectors = Enumerable.Range(first, Length).Select(vector => -1 - vector);
        return [text[0], .. vectors.Take(before), .. text.Skip(1).Take(nameLength), .. vectors.Skip(before), .. text.Skip(1 + nameLength)];
    }
}

/// <summary>
/// Learned vectors in the input of the text tower, in place of the words around a class name (CoOp, Zhou, Yang, Loy, Liu, IJCV 2022, arXiv
/// 2109.01134). Position embeddings are added to them as to tokens. Owns its parameter.
/// </summary>
internal sealed class InputContext : IDisposable
{
    /// <summary>Takes a copy of the given values.</summary>
    /// <param name="layout">Their place in a text.</param>
    /// <param name="vectors">[vectors, width]; class-specific vectors are ordered by class.</param>
    /// <param name="device">The device of the text tower.</param>
    public InputContext(ContextLayout layout, Tensor vectors, Device device)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        (Layout, Vectors) = (layout, PromptedBranches.Learned(vectors.to(device)));
    }

    public ContextLayout Layout { get; }

    /// <summary>[vectors, width], before position embeddings.</summary>
    public Parameter Vectors { get; }

    /// <summary>The initial vectors: embeddings of words, or random.</summary>
    /// <param name="layout">Their place in a text.</param>
    /// <param name="classes">The number of classes.</param>
    /// <param name="width">Width of the text tower.</param>
    /// <param name="words">[length, width] token embeddings to start from; null: random values.</param>
    /// <param name="distribution">Distribution of random values.</param>
    /// <param name="generator">Generator of random values.</param>
    /// <param name="device">The device of the text tower.</param>
    public static InputContext Create(
        ContextLayout layout,
        int classes,
        int width,
        Tensor? words,
        PromptDistribution distribution,
        Generator generator,
        Device device
    )
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        int count = layout.VectorCount(classes);
        return new InputContext(layout, words?.repeat(count / layout.Length, 1) ?? distribution.Draw(count, width, generator), device);
    }

    public void Dispose() => Vectors.Dispose();
}

/// <summary>A text branch with a learned context in its input.</summary>
/// <param name="branch">The prompts of the layers; not owned.</param>
/// <param name="context">The context; not owned.</param>
internal sealed class ContextBranch(IPromptedBranch branch, InputContext context) : IPromptedBranch
{
    public IReadOnlyList<Parameter> Parameters => [.. branch.Parameters, context.Vectors];

    public IReadOnlyList<LayerPrompt?> Layers(Func<Parameter, Tensor> stand) => branch.Layers(stand);

    public Tensor Context(Func<Parameter, Tensor> stand) => stand(context.Vectors);
}
