using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Text.Json;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Studies.Runs;

/// <summary>A process that does runs for this one (<see cref="StudyWorker"/>), seen from here.</summary>
/// <param name="process">Owned; its three streams are redirected.</param>
internal sealed class WorkerProcess(Process process) : IAsyncDisposable
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(1);

    private readonly Task<string> _said = process.StandardError.ReadToEndAsync(CancellationToken.None);

    /// <summary>This command again, as a worker.</summary>
    /// <param name="planFile">Full path.</param>
    /// <param name="folderPath">Where results go.</param>
    /// <param name="data">Where the known data sets lie; null: the plan says it.</param>
    public static ProcessStartInfo Command(string planFile, string folderPath, string? data)
    {
        string program = Environment.ProcessPath!,
            assembly = Assembly.GetExecutingAssembly().Location;
        bool isHost = Path.GetFileNameWithoutExtension(program) == "dotnet";
        return new ProcessStartInfo(
            program,
            [
                .. isHost ? new[] { assembly } : [],
                "study",
                StudyJobs.WorkerVerb,
                planFile,
                "--output",
                folderPath,
                .. data is null ? [] : new[] { "--data", data },
            ]
        );
    }

    /// <exception cref="System.ComponentModel.Win32Exception">The system starts no more.</exception>
    public static WorkerProcess Start(ProcessStartInfo command)
    {
        command.RedirectStandardInput = command.RedirectStandardOutput = command.RedirectStandardError = true;
        command.UseShellExecute = false;
        return new WorkerProcess(Process.Start(command)!);
    }

    /// <summary>Has a run done.</summary>
    /// <param name="place">Of the run in the plan.</param>
    /// <param name="cancellationToken">Ends the wait; then the process is to be disposed.</param>
    /// <returns>Null where the process ended instead.</returns>
    public async Task<WorkerAnswer?> Do(int place, CancellationToken cancellationToken)
    {
        try
        {
            await process.StandardInput.WriteLineAsync(place.ToString(CultureInfo.InvariantCulture));
            await process.StandardInput.FlushAsync(cancellationToken);
            string? answer = await process.StandardOutput.ReadLineAsync(cancellationToken);
            return answer is null ? null : JsonSerializer.Deserialize<WorkerAnswer>(answer, ToolJson.Line);
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            // A pipe without a reader, or half a line: its end says more than either.
            return null;
        }
    }

    /// <summary>How it ended, as a sentence without its end.</summary>
    /// <exception cref="OperationCanceledException">It ended by the same Ctrl-C as this process, which is told of it a moment
    /// later.</exception>
    public async Task<string> End(CancellationToken cancellationToken)
    {
        await process.WaitForExitAsync(cancellationToken);
        if (process.ExitCode == (int)ExitCode.Cancelled)
            await Task.Delay(Grace, cancellationToken);
        cancellationToken.ThrowIfCancellationRequested();
        string last = (await _said).Trim().TrimEnd('.');
        return $"the process that did it ended with code {process.ExitCode.ToString(CultureInfo.InvariantCulture)}"
            + (last.Length > 0 ? $" ({last})" : "");
    }

    /// <summary>The end of its input ends it, in the middle of a run after the step.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            process.StandardInput.Close();
        }
        catch (IOException) when (process.HasExited)
        {
            // What was still to be written has no reader any more.
        }
        await process.WaitForExitAsync(CancellationToken.None);
        process.Dispose();
    }
}
