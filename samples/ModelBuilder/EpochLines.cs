using Microsoft.ML.Dpl;

namespace ModelBuilder;

/// <summary>Prints one line for each tenth of a stage, at the end of an epoch.</summary>
internal sealed class EpochLines : IProgress<FitProgress>
{
    private (FitStage Stage, int Tenth)? _last;

    public void Report(FitProgress value)
    {
        if (value.Step != value.Steps)
            return;
        var now = (value.Stage, value.Epoch * 10 / value.Epochs);
        if (now == _last)
            return;
        _last = now;
        string left = value.Remaining is { } time ? $", {(long)time.TotalHours:00}:{time:mm\\:ss} left" : "";
        Console.WriteLine($"{value.Stage} epoch {value.Epoch}/{value.Epochs}: loss {value.TrainLoss:f3}{left}");
    }
}
