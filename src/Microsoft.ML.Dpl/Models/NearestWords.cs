namespace Microsoft.ML.Dpl;

/// <summary>How the distance between a prompt row and a word is measured.</summary>
public enum WordDistance
{
    /// <summary>The length of the difference between the row and the word's embedding, at least 0; CoOp's choice.</summary>
    Euclidean,

    /// <summary>One minus the cosine of the angle between the row and the word's embedding, 0 to 2.</summary>
    Cosine,
}

/// <summary>A word, or a piece of one, near a prompt row.</summary>
public sealed record NearWord
{
    internal NearWord(string word, float distance) => (Word, Distance) = (word, distance);

    /// <summary>The word as text. A piece that other pieces follow ends with <c>…</c>; CLIP's start and end tokens are
    /// <c>&lt;|startoftext|&gt;</c> and <c>&lt;|endoftext|&gt;</c>.</summary>
    public string Word { get; }

    /// <summary>Distance from the prompt row, by the chosen <see cref="WordDistance"/>.</summary>
    public float Distance { get; }
}

/// <summary>One row of a layer's text prompt and the words nearest to it.</summary>
public sealed record PromptRowWords
{
    internal PromptRowWords(int row, IReadOnlyList<NearWord> words) => (Row, Words) = (row, words);

    /// <summary>Index of the row, from 0.</summary>
    public int Row { get; }

    /// <summary>The nearest words, the nearest first.</summary>
    public IReadOnlyList<NearWord> Words { get; }
}
