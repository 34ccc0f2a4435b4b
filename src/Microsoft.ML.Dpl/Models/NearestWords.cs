namespace Microsoft.ML.Dpl;

/// <summary>What nearness of a prompt row to a word means.</summary>
public enum WordDistance
{
    /// <summary>The length of the difference between the row and the word's embedding, at least 0; CoOp's choice.</summary>
    Euclidean,

    /// <summary>One minus the cosine of the angle between the row and the word's embedding, 0 to 2.</summary>
    Cosine,
}

/// <summary>A word or a piece of one near a prompt row.</summary>
public sealed record NearWord
{
    internal NearWord(string word, float distance) => (Word, Distance) = (word, distance);

    /// <summary>As text. A piece that other pieces follow ends with <c>…</c>; CLIP's marks of a text's beginning and end are
    /// <c>&lt;|startoftext|&gt;</c> and <c>&lt;|endoftext|&gt;</c>.</summary>
    public string Word { get; }

    /// <summary>As the chosen <see cref="WordDistance"/> measures it.</summary>
    public float Distance { get; }
}

/// <summary>One row of a layer's text prompt and the words nearest to it.</summary>
public sealed record PromptRowWords
{
    internal PromptRowWords(int row, IReadOnlyList<NearWord> words) => (Row, Words) = (row, words);

    /// <summary>From 0.</summary>
    public int Row { get; }

    /// <summary>The nearest first.</summary>
    public IReadOnlyList<NearWord> Words { get; }
}
