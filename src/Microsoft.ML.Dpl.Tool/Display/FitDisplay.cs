using System.Globalization;
using System.Text.Json;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>Shows how far a fit is, on the error stream.</summary>
internal static class FitDisplay
{
    /// <param name="mode">How; not <see cref="ProgressMode.Auto"/>.</param>
    /// <param name="name">What is being fitted.</param>
    /// <param name="batchSize">Pictures a step.</param>
    /// <param name="fit">Given where to report to.</param>
    public static T Show<T>(ProgressMode mode, string name, int batchSize, Func<IProgress<DplProgress>, T> fit)
    {
        switch (mode)
        {
            case ProgressMode.Bars:
                return Terminal.Error.Progress()
                    .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn())
                    .Start(context => fit(new Bars(name, batchSize, context)));
            case ProgressMode.Lines:
                return fit(new Lines(name, batchSize));
            case ProgressMode.Json:
                return fit(new JsonLines(name, batchSize));
            default:
                return fit(new Silence());
        }
    }

    /// <summary>Figures of a step, or of the epoch that it ended.</summary>
    private static string Figures(DplProgress now, double? rate)
    {
        double? validation = now.EndedEpoch?.ValidationLoss ?? now.ValidationLoss;
        return string.Create(CultureInfo.InvariantCulture, $"epoch {now.Epoch}/{now.Epochs}, loss {now.EndedEpoch?.TrainLoss ?? now.TrainLoss:f3}")
            + (validation is double loss ? string.Create(CultureInfo.InvariantCulture, $", validation loss {loss:f3}") : "")
            + (now.ValidationAccuracy is double accuracy ? string.Create(CultureInfo.InvariantCulture, $", validation accuracy {accuracy:p1}") : "")
            + (rate is double pictures ? string.Create(CultureInfo.InvariantCulture, $", {pictures:f1} images/s") : "")
            + string.Create(CultureInfo.InvariantCulture, $", {now.Remaining:d\\.hh\\:mm\\:ss} left").Replace(" 0.", " ", StringComparison.Ordinal);
    }

    private static string Stage(DplProgress now) => now.Stage.ToString().ToLowerInvariant();

    private sealed class Silence : IProgress<DplProgress>
    {
        public void Report(DplProgress value)
        {
            // Nothing is to be shown.
        }
    }

    private sealed class Bars(string name, int batchSize, ProgressContext context) : IProgress<DplProgress>
    {
        private readonly Dictionary<DplStage, ProgressTask> _tasks = [];
        private readonly ImageRate _rate = new(batchSize);
        private string _accuracy = "";

        public void Report(DplProgress value)
        {
            if (!_tasks.TryGetValue(value.Stage, out ProgressTask? task)) _tasks[value.Stage] = task = context.AddTask(Markup.Escape(name), maxValue: 1);
            // The last accuracy stays in sight while the next epoch runs.
            if (value.ValidationAccuracy is double accuracy) _accuracy = string.Create(CultureInfo.InvariantCulture, $", validation accuracy {accuracy:p1}");
            string figures = Figures(value with { ValidationAccuracy = null }, _rate.Of(value));
            task.Description = Markup.Escape($"{name}, {Stage(value)}: {figures}{(value.Stage == DplStage.Training ? _accuracy : "")}");
            task.Value = value.Fraction;
        }
    }

    private sealed class Lines(string name, int batchSize) : IProgress<DplProgress>
    {
        private readonly ImageRate _rate = new(batchSize);

        public void Report(DplProgress value)
        {
            double? rate = _rate.Of(value);
            if (value.EndedEpoch is not null) Terminal.Note($"{name}, {Stage(value)}: {Figures(value, rate)}");
        }
    }

    private sealed class JsonLines(string name, int batchSize) : IProgress<DplProgress>
    {
        private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

        private readonly ImageRate _rate = new(batchSize);
        private TimeSpan _last;

        public void Report(DplProgress value)
        {
            double? rate = _rate.Of(value);
            if (value.EndedEpoch is null && (value.Elapsed - _last).Duration() < Interval) return;
            _last = value.Elapsed;
            Console.Error.WriteLine(JsonSerializer.Serialize(new
            {
                name,
                stage = Stage(value),
                epoch = value.Epoch,
                epochs = value.Epochs,
                step = value.Step,
                steps = value.Steps,
                learningRate = value.LearningRate,
                trainLoss = value.EndedEpoch?.TrainLoss ?? value.TrainLoss,
                validationLoss = value.EndedEpoch?.ValidationLoss ?? value.ValidationLoss,
                validationAccuracy = value.ValidationAccuracy,
                epochEnded = value.EndedEpoch is not null,
                imagesPerSecond = rate,
                elapsedSeconds = value.Elapsed.TotalSeconds,
                remainingSeconds = value.Remaining.TotalSeconds,
            }));
        }
    }
}
