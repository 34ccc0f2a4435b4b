using Microsoft.ML.Dpl.Models;

namespace Microsoft.ML.Dpl;

// Learned vectors read as words of CLIP's vocabulary.
public sealed partial class DplTransformer
{
    /// <summary>Reads a layer's text prompt as words: for each row, the tokens of CLIP's vocabulary with the nearest embeddings, as in CoOp
    /// (Zhou et al., IJCV 2022, arXiv 2109.01134).</summary>
    /// <remarks>
    /// Interpret the words with care, as CoOp's authors advise. Only the first layer's input consists of token embeddings; rows of deeper
    /// layers are in the space of hidden states, which merely has the same width, so their nearest words mean little.
    /// </remarks>
    /// <param name="layer">Index of the text layer, from 0.</param>
    /// <param name="k">Words per row, at least 1.</param>
    /// <param name="distance">The distance measure.</param>
    /// <returns>One entry per row; for a <see cref="Mixture"/>, the rows of its candidates one after another; empty if the layer has no
    /// prompt.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such layer, or <paramref name="k"/> is below 1 or above the size of the
    /// vocabulary.</exception>
    /// <exception cref="InvalidOperationException">CLIP's text tower cannot be read.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public IReadOnlyList<PromptRowWords> NearestWords(int layer, int k, WordDistance distance = WordDistance.Euclidean)
    {
        int layers = Configuration.Text.Count;
        if (layer < 0 || layer >= layers)
            throw new ArgumentOutOfRangeException(nameof(layer), layer, $"The text tower has layers 0 to {layers - 1}.");
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        if (!Enum.IsDefined(distance))
            throw new ArgumentOutOfRangeException(nameof(distance), distance, "There is no such distance.");
        return NearestWords(_prompts.Rows.Text[layer], k, distance);
    }

    /// <summary>Reads the vectors of the <see cref="Context"/> as words. The vectors are in the text tower's input, like token embeddings,
    /// so their nearest words are more meaningful than those of deeper prompts.</summary>
    /// <param name="k">Words per vector, at least 1.</param>
    /// <param name="distance">The distance measure.</param>
    /// <returns>One entry per vector, class by class for a class-specific context; empty without a context.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="k"/> is below 1 or above the size of the vocabulary.</exception>
    /// <exception cref="InvalidOperationException">CLIP's text tower cannot be read.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public IReadOnlyList<PromptRowWords> NearestContextWords(int k, WordDistance distance = WordDistance.Euclidean)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        if (!Enum.IsDefined(distance))
            throw new ArgumentOutOfRangeException(nameof(distance), distance, "There is no such distance.");
        return NearestWords(_prompts.Rows.Context?.Vectors, k, distance);
    }

    private IReadOnlyList<PromptRowWords> NearestWords(TorchSharp.torch.Tensor? rows, int k, WordDistance distance)
    {
        var found = _scorer.Use(() => rows is null ? [] : new TextBranch(Backbone, _device).Nearest(rows, k, distance));
        return
        [
            .. found.Select(
                (words, row) =>
                    new PromptRowWords(row, [.. words.Select(w => new NearWord(w.EndsWord ? w.Text : w.Text + "…", w.Distance))])
            ),
        ];
    }
}
