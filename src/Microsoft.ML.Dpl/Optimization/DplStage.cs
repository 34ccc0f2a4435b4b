namespace Microsoft.ML.Dpl;

/// <summary>The stages of a fit.</summary>
public enum DplStage
{
    /// <summary>Bilevel search of the prompt lengths.</summary>
    Search,

    /// <summary>Short trainings of several configurations, which validation compares.</summary>
    Comparison,

    /// <summary>Training of prompts of the chosen lengths.</summary>
    Training,
}
