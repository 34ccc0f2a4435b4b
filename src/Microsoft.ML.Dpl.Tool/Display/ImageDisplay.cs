using System.Diagnostics;
using System.Globalization;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>Progress of classifying images.</summary>
/// <param name="Done">Number of images processed so far.</param>
/// <param name="Accuracy">Accuracy so far, over the images that have a label and could be read, 0 to 1; null if there are none.</param>
internal readonly record struct ImageProgress(int Done, double? Accuracy = null);

/// <summary>Shows the progress of a test or a prediction on the error stream.</summary>
internal static class ImageDisplay
{
    /// <param name="mode">The progress mode; not <see cref="ProgressMode.Auto"/>.</param>
    /// <param name="name">The name of the operation.</param>
    /// <param name="all">Number of all images; null if it is not known yet.</param>
    /// <param name="run">Runs the operation, reporting to its argument.</param>
    public static T Show<T>(ProgressMode mode, string name, int? all, Func<IProgress<ImageProgress>, T> run)
    {
        var clock = new ImageClock(name, all);
        return mode switch
        {
            ProgressMode.Bars => MovingBars.Show(context => run(new Bars(clock, context))),
            ProgressMode.Lines => run(new Lines(clock)),
            ProgressMode.Json => run(new JsonLines(clock)),
            _ => run(new Silence()),
        };
    }

    /// <summary>Computes images per second and the remaining time.</summary>
    private sealed class ImageClock(string name, int? all)
    {
        private readonly Stopwatch _time = Stopwatch.StartNew();

        public string Name => name;

        public int? All => all;

        public TimeSpan Elapsed => _time.Elapsed;

        public double Rate(ImageProgress now) => now.Done / _time.Elapsed.TotalSeconds;

        public TimeSpan? Remaining(ImageProgress now) =>
            all is int count && now.Done > 0 ? _time.Elapsed * ((count - now.Done) / (double)now.Done) : null;

        public Figures FiguresAt(ImageProgress now) =>
            new Figures()
                .Add(0, string.Create(CultureInfo.InvariantCulture, $"{name}: {now.Done}{(all is int count ? $"/{count}" : "")} images"))
                .Add(2, now.Accuracy is double share ? string.Create(CultureInfo.InvariantCulture, $"accuracy so far {share:p1}") : null)
                .Add(3, Figures.Rate(Rate(now)))
                .Add(1, Figures.Left(Remaining(now)));
    }

    private sealed class Silence : IProgress<ImageProgress>
    {
        public void Report(ImageProgress value)
        {
            // Shows nothing.
        }
    }

    private sealed class Bars : IProgress<ImageProgress>
    {
        private readonly ImageClock _clock;
        private readonly ProgressTask _task;

        public Bars(ImageClock clock, ProgressContext context)
        {
            _clock = clock;
            _task = context.AddTask(Terminal.Cell(clock.Name), maxValue: clock.All ?? 1);
            _task.IsIndeterminate = clock.All is null;
        }

        public void Report(ImageProgress value)
        {
            _task.Description = Terminal.Cell(_clock.FiguresAt(value).Within(MovingBars.TextWidth));
            if (_clock.All is not null)
                _task.Value = value.Done;
        }
    }

    /// <summary>Writes a line every ten seconds, so none for short operations.</summary>
    private sealed class Lines(ImageClock clock) : IProgress<ImageProgress>
    {
        private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

        private TimeSpan _last;

        public void Report(ImageProgress value)
        {
            if (clock.Elapsed - _last < Interval)
                return;
            _last = clock.Elapsed;
            Terminal.Note(clock.FiguresAt(value).ToString());
        }
    }

    /// <summary>Writes about one object per second, and one at the end.</summary>
    private sealed class JsonLines(ImageClock clock) : IProgress<ImageProgress>
    {
        private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

        private TimeSpan? _last;

        public void Report(ImageProgress value)
        {
            if (value.Done != clock.All && clock.Elapsed - _last < Interval)
                return;
            _last = clock.Elapsed;
            Terminal.WriteJson(
                new
                {
                    name = clock.Name,
                    stage = "images",
                    done = value.Done,
                    all = clock.All,
                    accuracy = value.Accuracy,
                    imagesPerSecond = clock.Rate(value),
                    elapsedSeconds = clock.Elapsed.TotalSeconds,
                    remainingSeconds = clock.Remaining(value)?.TotalSeconds,
                }
            );
        }
    }
}
