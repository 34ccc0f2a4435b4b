using Microsoft.ML.Dpl.Hub;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>Shows a download on the error stream: bars on a terminal, elsewhere a line for each large file's beginning and end.</summary>
internal static class DownloadDisplay
{
    private const long WorthALine = 1 << 20;

    /// <param name="options">Of the download; null: the defaults. A progress that is set already is told instead, and nothing is shown.</param>
    /// <param name="download">Given the options that report here.</param>
    public static T Run<T>(HubOptions? options, Func<HubOptions, Task<T>> download)
    {
        options ??= new HubOptions();
        if (options.Progress is not null) return download(options).GetAwaiter().GetResult();
        if (Console.IsErrorRedirected || !Terminal.Error.Profile.Capabilities.Interactive) return download(options with { Progress = new Lines() }).GetAwaiter().GetResult();
        return new Progress(Terminal.Error) { AutoClear = true, HideCompleted = false }
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new DownloadedColumn(), new TransferSpeedColumn(), new RemainingTimeColumn())
            .StartAsync(context => download(options with { Progress = new Bars(context) })).GetAwaiter().GetResult();
    }

    private sealed class Bars(ProgressContext context) : IProgress<HubProgress>
    {
        private readonly Dictionary<string, ProgressTask> _tasks = [];

        public void Report(HubProgress value)
        {
            if (!_tasks.TryGetValue(value.File, out ProgressTask? task)) _tasks.Add(value.File, task = context.AddTask(Markup.Escape(value.File), maxValue: Math.Max(1, value.TotalBytes)));
            task.Value = value.TotalBytes == 0 ? 1 : value.Bytes;
        }
    }

    private sealed class Lines : IProgress<HubProgress>
    {
        private readonly HashSet<string> _begun = [];

        public void Report(HubProgress value)
        {
            if (value.TotalBytes < WorthALine) return;
            bool isNew = _begun.Add(value.File), isWhole = value.Bytes == value.TotalBytes;
            if (isNew && !isWhole) Terminal.Note($"Downloading {value.File}, {ByteSize.Text(value.TotalBytes)}{(value.Bytes > 0 ? $", of which {ByteSize.Text(value.Bytes)} are here" : "")}.");
            else if (isWhole && !isNew) Terminal.Note($"Downloaded {value.File}.");
        }
    }
}
