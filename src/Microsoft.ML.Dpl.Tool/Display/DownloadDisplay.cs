using Microsoft.ML.Dpl.Hub;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>Shows a download on the error stream: bars on a terminal, otherwise a line when each large file starts and ends.</summary>
internal static class DownloadDisplay
{
    private const long WorthALine = 1 << 20;

    /// <param name="options">Options of the download; null for the defaults. If they already have a progress callback, it is used and
    /// nothing is shown.</param>
    /// <param name="download">Downloads with the given options, which report to the display.</param>
    /// <exception cref="OperationCanceledException">The download was cancelled; what was downloaded is kept, and the user has been told
    /// so.</exception>
    public static T Run<T>(HubOptions? options, Func<HubOptions, Task<T>> download)
    {
        options ??= new HubOptions();
        if (options.Progress is not null)
            return download(options).GetAwaiter().GetResult();
        bool hasBegun = false;
        T Show(IProgress<HubProgress> progress) =>
            download(options with { Progress = new Watched(progress, () => hasBegun = true) }).GetAwaiter().GetResult();
        try
        {
            return Terminal.Mode switch
            {
                ProgressMode.None => Show(new Silence()),
                ProgressMode.Json => Show(new JsonLines()),
                ProgressMode.Lines => Show(new Lines()),
                _ => Terminal.HasMovingError ? WithBars(Show) : Show(new Lines()),
            };
        }
        catch (OperationCanceledException) when (hasBegun)
        {
            Terminal.Note("What was downloaded is kept; the same command continues from there.");
            throw;
        }
    }

    private static T WithBars<T>(Func<IProgress<HubProgress>, T> show) =>
        new Progress(Terminal.Error) { AutoClear = true, HideCompleted = false }
            .Columns(
                new TaskDescriptionColumn(),
                new ProgressBarColumn(),
                new DownloadedColumn(),
                new TransferSpeedColumn(),
                new RemainingTimeColumn()
            )
            .Start(context => show(new Bars(context)));

    private sealed class Silence : IProgress<HubProgress>
    {
        public void Report(HubProgress value)
        {
            // Shows nothing.
        }
    }

    private sealed class Watched(IProgress<HubProgress> next, Action begun) : IProgress<HubProgress>
    {
        public void Report(HubProgress value)
        {
            if (value.Bytes > 0)
                begun();
            next.Report(value);
        }
    }

    private sealed class Bars(ProgressContext context) : IProgress<HubProgress>
    {
        private readonly Dictionary<string, ProgressTask> _tasks = [];

        public void Report(HubProgress value)
        {
            if (!_tasks.TryGetValue(value.File, out ProgressTask? task))
                _tasks.Add(value.File, task = context.AddTask(Terminal.Cell(value.File), maxValue: Math.Max(1, value.TotalBytes)));
            task.Value = value.TotalBytes == 0 ? 1 : value.Bytes;
        }
    }

    private sealed class Lines : IProgress<HubProgress>
    {
        private readonly HashSet<string> _begun = [];

        public void Report(HubProgress value)
        {
            if (value.TotalBytes < WorthALine)
                return;
            bool isNew = _begun.Add(value.File),
                isWhole = value.Bytes == value.TotalBytes;
            if (isNew && !isWhole)
            {
                string here = value.Bytes > 0 ? $", of which {ByteSize.Text(value.Bytes)} are here" : "";
                Terminal.Note($"Downloading {value.File}, {ByteSize.Text(value.TotalBytes)}{here}.");
            }
            else if (isWhole && !isNew)
                Terminal.Note($"Downloaded {value.File}.");
        }
    }

    /// <summary>Writes about one object per second for each file, and one at its end.</summary>
    private sealed class JsonLines : IProgress<HubProgress>
    {
        private const long Interval = 1000; // milliseconds

        private readonly Dictionary<string, long> _last = [];

        public void Report(HubProgress value)
        {
            long now = Environment.TickCount64;
            if (value.Bytes != value.TotalBytes && _last.TryGetValue(value.File, out long last) && now - last < Interval)
                return;
            _last[value.File] = now;
            Terminal.WriteJson(
                new
                {
                    stage = "download",
                    file = value.File,
                    bytes = value.Bytes,
                    totalBytes = value.TotalBytes,
                }
            );
        }
    }
}
