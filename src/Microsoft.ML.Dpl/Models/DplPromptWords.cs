namespace Microsoft.ML.Dpl;

/// <summary>What nearness of a prompt row to a word means.</summary>
public enum DplWordDistance
{
    /// <summary>The length of the difference between the row and the word's embedding, at least 0; CoOp's choice.</summary>
    Euclidean,

    /// <summary>One minus the cosine of the angle between the row and the word's embedding, 0 to 2.</summary>
    Cosine,
}

/// <summary>A word or a piece of one near a prompt row.</summary>
/// <param name="Word">As text. A piece that other pieces follow ends with <c>…</c>; CLIP's marks of a text's beginning and end are
/// <c>&lt;|startoftext|&gt;</c> and <c>&lt;|endoftext|&gt;</c>.</param>
/// <param name="Distance">As the chosen <see cref="DplWordDistance"/> measures it.</param>
public sealed record DplNearWord(string Word, float Distance);

/// <summary>One row of a layer's text prompt and the words nearest to it.</summary>
/// <param name="Row">From 0.</param>
/// <param name="Words">The nearest first.</param>
public sealed record DplPromptRowWords(int Row, IReadOnlyList<DplNearWord> Words);
