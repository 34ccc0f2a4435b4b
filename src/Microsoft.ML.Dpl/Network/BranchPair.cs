namespace Microsoft.ML.Dpl.Network;

/// <summary>One value for each branch of CLIP, the text branch always first.</summary>
/// <param name="Text">The text branch's value.</param>
/// <param name="Image">The image branch's value.</param>
internal readonly record struct BranchPair<T>(T Text, T Image)
{
    /// <summary>The image branch's value, then the text branch's.</summary>
    /// <remarks>
    /// Optimizers, checkpoints and custom gradients list the parameters in this order: the tensors of a checkpoint are named by their
    /// position, and a sum over all gradients rounds differently in another order.
    /// </remarks>
    public IReadOnlyList<T> ImageFirst => [Image, Text];

    /// <summary>Applies a function to each value, the text branch's first.</summary>
    public BranchPair<TResult> Select<TResult>(Func<T, TResult> selector) => new(selector(Text), selector(Image));
}
