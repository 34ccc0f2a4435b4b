using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Network;

/// <summary>The tokens of a text that the text tower reads: up to the end-of-text token, whose output is the text's feature.</summary>
internal static class LiveTokens
{
    /// <param name="ids">Token ids; those after the end-of-text id are ignored. Negative ids stand for context vectors.</param>
    /// <param name="index">The text's index, for messages.</param>
    /// <param name="config">The model's configuration.</param>
    /// <returns>The ids up to and including the end-of-text id.</returns>
    /// <exception cref="ArgumentException">The text is empty or longer than the context length, has no end-of-text id, or contains an
    /// unknown id.</exception>
    public static int[] Read(int[] ids, int index, ClipConfig config)
    {
        if (ids.Length == 0)
            throw new ArgumentException($"Class text {index} is empty.");
        int end = config.EndOfTextId is int id ? Array.IndexOf(ids, id) : Array.IndexOf(ids, ids.Max());
        if (end < 0)
            throw new ArgumentException(
                $"Class text {index} has no end-of-text token ({config.EndOfTextId}): the vocabulary does not belong to this CLIP."
            );
        if (end >= config.ContextLength)
            throw new ArgumentException($"Class text {index} has {end + 1} tokens, more than the context length {config.ContextLength}.");
        int[] live = ids[..(end + 1)];
        if (live.Any(t => t >= config.VocabularySize))
            throw new ArgumentException(
                $"Class text {index} holds a token id above {config.VocabularySize - 1}: the vocabulary does not belong to this CLIP."
            );
        return live;
    }
}
