namespace Microsoft.ML.Dpl.Optimization;

/// <summary>The values checked in every step.</summary>
internal enum Watched
{
    /// <summary>The loss of a training batch, or of a validation batch in the upper level of the search.</summary>
    Loss,

    /// <summary>The gradients of the learned parameters.</summary>
    Gradient,

    /// <summary>The loss of the validation images after an epoch of training.</summary>
    ValidationLoss,

    /// <summary>The loss of the last training batch with the final prompts, if there are no validation images.</summary>
    FinalLoss,
}

/// <summary>A loss or a gradient became infinite or NaN. No step was taken with it.</summary>
/// <param name="stage">Search or training.</param>
/// <param name="epoch">The epoch, from 0.</param>
/// <param name="step">The step within the epoch, from 0.</param>
/// <param name="watched">The value that was checked.</param>
/// <param name="value">Its value: infinite or NaN.</param>
/// <param name="images">The batch, as row indices in its source; empty if they are not known.</param>
/// <param name="isInValidation">Whether the source is that of the validation images.</param>
internal sealed class NonFiniteValueException(
    FitStage stage,
    int epoch,
    int step,
    Watched watched,
    double value,
    IReadOnlyList<int> images,
    bool isInValidation
) : InvalidOperationException($"{watched} became {value} in {stage} epoch {epoch + 1}, step {step + 1}.")
{
    public FitStage Stage { get; } = stage;

    public int Epoch { get; } = epoch;

    public int Step { get; } = step;

    public Watched Watched { get; } = watched;

    public double Value { get; } = value;

    public IReadOnlyList<int> Images { get; } = images;

    public bool IsInValidation { get; } = isInValidation;

    /// <summary>Mean training loss of the preceding steps; null if this was the first step of the stage. Set by the stage.</summary>
    public double? LossBefore { get; set; }

    /// <summary>Learning rate of the prompts in the step, or in the last one if none was being taken; null if there was none. Set by the
    /// stage.</summary>
    public double? LearningRate { get; set; }

    /// <summary>Whether the stage had good values, to which its parameters have been restored. Set by the stage.</summary>
    public bool HasGoodValues { get; set; }
}
