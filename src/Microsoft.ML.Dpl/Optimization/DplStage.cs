namespace Microsoft.ML.Dpl;

/// <summary>The two stages of a fit.</summary>
public enum DplStage
{
    /// <summary>Bilevel search of the prompt lengths.</summary>
    Search,

    /// <summary>Training of prompts of the chosen lengths.</summary>
    Training,
}
