namespace Microsoft.ML.Dpl.Optimization;

/// <summary>What is looked at in every step.</summary>
internal enum Watched
{
    /// <summary>Of a training batch, or of a validation batch in the search's upper level.</summary>
    Loss,

    /// <summary>The gradients of what is learnt.</summary>
    Gradient,

    /// <summary>Of the validation images after an epoch of training.</summary>
    ValidationLoss,

    /// <summary>Of the last training batch with the prompts that training ended with, where there are no validation images.</summary>
    FinalLoss,
}

/// <summary>A number that steers a run became infinite or not a number. Nothing was stepped with it.</summary>
/// <param name="stage">Search or training.</param>
/// <param name="epoch">The epoch, from 0.</param>
/// <param name="step">The step within the epoch, from 0.</param>
/// <param name="watched">The number that was looked at.</param>
/// <param name="value">Its value: infinite or NaN.</param>
/// <param name="images">The batch: positions in the source that gave it; empty where that is not known.</param>
/// <param name="isInValidation">Whether that source has the validation images.</param>
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

    /// <summary>Mean training loss of the steps before; null where no step of the stage had been taken. Told by the stage.</summary>
    public double? LossBefore { get; set; }

    /// <summary>Whether the stage had good values, which its parameters now have again. Told by the stage.</summary>
    public bool HasGoodValues { get; set; }
}
