using System.Globalization;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>Shows the progress of a fit on the error stream.</summary>
internal static class FitDisplay
{
    /// <param name="mode">The progress mode; not <see cref="ProgressMode.Auto"/>.</param>
    /// <param name="name">The name of the fit.</param>
    /// <param name="batchSize">Number of images per step.</param>
    /// <param name="fit">Runs the fit, reporting to its argument.</param>
    public static T Show<T>(ProgressMode mode, string name, int batchSize, Func<IProgress<FitProgress>, T> fit) =>
        mode switch
        {
            ProgressMode.Bars => MovingBars.Show(context => fit(new Bars(name, batchSize, context))),
            ProgressMode.Lines => fit(new Lines(name, batchSize)),
            ProgressMode.Json => fit(new JsonLines(name, batchSize)),
            _ => fit(new Silence()),
        };

    /// <summary>The figures of a step, or of the epoch that it completed.</summary>
    private static Figures FiguresOf(string name, FitProgress now, double? rate, double? accuracy)
    {
        double? validation = now.EndedEpoch?.ValidationLoss ?? now.ValidationLoss;
        return new Figures()
            .Add(
                0,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{(name == Stage(now) ? name : $"{name}, {Stage(now)}")}: epoch {now.Epoch}/{now.Epochs}"
                )
            )
            .Add(2, string.Create(CultureInfo.InvariantCulture, $"loss {now.EndedEpoch?.TrainLoss ?? now.TrainLoss:f3}"))
            .Add(4, validation is double loss ? string.Create(CultureInfo.InvariantCulture, $"validation loss {loss:f3}") : null)
            .Add(3, accuracy is double share ? string.Create(CultureInfo.InvariantCulture, $"validation accuracy {share:p1}") : null)
            .Add(5, Figures.Rate(rate))
            .Add(1, Figures.Left(now.Remaining));
    }

    private static string Stage(FitProgress now) => now.Stage.ToString().ToLowerInvariant();

    private sealed class Silence : IProgress<FitProgress>
    {
        public void Report(FitProgress value)
        {
            // Shows nothing.
        }
    }

    private sealed class Bars : IProgress<FitProgress>
    {
        private readonly string _name;
        private readonly ProgressContext _context;
        private readonly Dictionary<FitStage, ProgressTask> _tasks = [];
        private readonly ImageRate _rate;
        private ProgressTask? _first;
        private double? _accuracy;

        public Bars(string name, int batchSize, ProgressContext context)
        {
            (_name, _context, _rate) = (name, context, new ImageRate(batchSize));
            // Shown until the first step, since loading CLIP and the images may take minutes.
            _first = context.AddTask(Terminal.Cell($"{name}: reading CLIP and images"), maxValue: 1);
            _first.IsIndeterminate = true;
        }

        public void Report(FitProgress value)
        {
            if (!_tasks.TryGetValue(value.Stage, out ProgressTask? task))
            {
                // A stage may end before its last epoch.
                foreach (ProgressTask before in _tasks.Values)
                    before.Value = before.MaxValue;
                _tasks[value.Stage] = task = _first ?? _context.AddTask(Terminal.Cell(_name), maxValue: 1);
                (task.IsIndeterminate, _first) = (false, null);
            }
            // The last accuracy stays visible during the next epoch.
            _accuracy = value.ValidationAccuracy ?? _accuracy;
            task.Description = Terminal.Cell(FiguresOf(_name, value, _rate.Update(value), _accuracy).Within(MovingBars.TextWidth));
            task.Value = value.Fraction;
        }
    }

    private sealed class Lines(string name, int batchSize) : IProgress<FitProgress>
    {
        private readonly ImageRate _rate = new(batchSize);

        public void Report(FitProgress value)
        {
            double? rate = _rate.Update(value);
            if (value.EndedEpoch is not null)
                Terminal.Note(FiguresOf(name, value, rate, value.ValidationAccuracy).ToString());
        }
    }

    private sealed class JsonLines(string name, int batchSize) : IProgress<FitProgress>
    {
        private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

        private readonly ImageRate _rate = new(batchSize);
        private TimeSpan _last;

        public void Report(FitProgress value)
        {
            double? rate = _rate.Update(value);
            if (value.EndedEpoch is null && (value.Elapsed - _last).Duration() < Interval)
                return;
            _last = value.Elapsed;
            Terminal.WriteJson(
                new
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
                    remainingSeconds = value.Remaining?.TotalSeconds,
                }
            );
        }
    }
}
