namespace Microsoft.ML.Dpl;

/// <summary>
/// A learned context in the input of the text tower: vectors that replace the words around the class name in each class's text (CoOp,
/// Zhou, Yang, Loy, Liu, IJCV 2022, arXiv 2109.01134). A class's text is then the context, the name and a full stop.
/// </summary>
public sealed record PromptContext
{
    /// <summary>The length if neither <see cref="Length"/> nor <see cref="Words"/> is given.</summary>
    public const int DefaultLength = 4;

    /// <summary>Number of vectors in each text, at least 1. Null: as many as <see cref="Words"/> has tokens, or 4 without words; never null
    /// in a trained model.</summary>
    public int? Length { get; init; }

    /// <summary>Position of the vectors in the text.</summary>
    public ContextPosition Position { get; init; }

    /// <summary>Whether every class learns vectors of its own. Such a context does not apply to other classes:
    /// <c>DplTransformer.WithClasses</c> cannot use it.</summary>
    public bool ClassSpecific { get; init; }

    /// <summary>Words whose token embeddings initialise the vectors, such as <c>a photo of a</c>; underscores become spaces. Null: the
    /// vectors are initialised at random.</summary>
    public string? Words { get; init; }
}

/// <summary>Where the learned vectors of a context stand in the text of a class (Zhou, Yang, Loy, Liu, CoOp, IJCV 2022, arXiv 2109.01134).
/// Named after the position of the class name, as CoOp's <c>CLASS_TOKEN_POSITION</c> is.</summary>
public enum ContextPosition
{
    /// <summary>The context, then the class name.</summary>
    End,

    /// <summary>The first half of the context (rounded down), the class name, then the other half.</summary>
    Middle,

    /// <summary>The class name, then the context.</summary>
    Front,
}
