namespace Microsoft.ML.Dpl;

/// <summary>Where the learned vectors of a context stand in the text of a class (Zhou, Yang, Loy, Liu, CoOp, IJCV 2022, arXiv 2109.01134).
/// Named by the place of the class name, as CoOp's <c>CLASS_TOKEN_POSITION</c> is.</summary>
public enum DplContextPosition
{
    /// <summary>The context, then the class name.</summary>
    End,

    /// <summary>The first half of the context (rounded down), the class name, then the other half.</summary>
    Middle,

    /// <summary>The class name, then the context.</summary>
    Front,
}
