using Microsoft.ML;
using Microsoft.ML.Dpl;
using Microsoft.ML.Runtime;
using Spectre.Console;

namespace QuickStart;

/// <summary>Shows a fit's stages (search, comparison, training) as progress bars, or as one line per tenth of a stage if the output is not
/// a terminal.</summary>
internal static class ConsoleProgress
{
    /// <param name="name">Name of the fit.</param>
    /// <param name="fit">Runs the fit, reporting to its argument.</param>
    public static T Show<T>(string name, Func<IProgress<FitProgress>, T> fit)
    {
        if (!AnsiConsole.Profile.Capabilities.Interactive)
            return fit(new Lines(name));
        return AnsiConsole
            .Progress()
            .Columns(
                new TaskDescriptionColumn { Alignment = Justify.Left },
                new ProgressBarColumn(),
                new PercentageColumn(),
                new RemainingTimeColumn()
            )
            .Start(context => fit(new Bars(name, context)));
    }

    /// <summary>Shows the trainer's warnings: in yellow above the progress bars, or as lines on the error stream if there are no
    /// bars.</summary>
    /// <param name="mlContext">The context whose log is shown.</param>
    public static void ShowWarnings(MLContext mlContext) =>
        mlContext.Log += (_, e) =>
        {
            if (e.Kind != ChannelMessageKind.Warning || !e.Source.Contains("Dpl", StringComparison.Ordinal))
                return;
            if (AnsiConsole.Profile.Capabilities.Interactive)
                AnsiConsole.MarkupLineInterpolated($"[yellow]Warning: {e.RawMessage}[/]");
            else
                Console.Error.WriteLine($"Warning: {e.RawMessage}");
        };

    private static string Losses(FitProgress now) =>
        $"epoch {now.Epoch}/{now.Epochs}, loss {now.TrainLoss:f3}"
        + (now.ValidationAccuracy is double accuracy ? $", validation accuracy {accuracy:p1}" : "");

    private sealed class Bars(string name, ProgressContext context) : IProgress<FitProgress>
    {
        private readonly Dictionary<FitStage, ProgressTask> _tasks = [];

        public void Report(FitProgress value)
        {
            if (!_tasks.TryGetValue(value.Stage, out ProgressTask? task))
                _tasks[value.Stage] = task = context.AddTask(name, maxValue: 1);
            task.Description = Markup.Escape($"{name}, {value.Stage.ToString().ToLowerInvariant()}: {Losses(value)}");
            task.Value = value.Fraction;
        }
    }

    private sealed class Lines(string name) : IProgress<FitProgress>
    {
        private (FitStage Stage, int Tenth) _last;

        public void Report(FitProgress value)
        {
            var now = (value.Stage, (int)(value.Fraction * 10));
            if (now == _last)
                return;
            _last = now;
            string left = value.Remaining is { } time ? $", {time:hh\\:mm\\:ss} left" : "";
            Console.WriteLine($"{name}, {value.Stage.ToString().ToLowerInvariant()}: {Losses(value)}{left}");
        }
    }
}
