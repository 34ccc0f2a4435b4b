using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Text.Json;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Studies.Runs;

/// <summary>The parent's handle on a worker process that executes runs (<see cref="StudyWorker"/>).</summary>
/// <param name="process">The process, disposed with this object; its three standard streams are redirected.</param>
internal sealed class WorkerProcess(Process process) : IAsyncDisposable
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(1);

    private readonly Task<string> _said = process.StandardError.ReadToEndAsync(CancellationToken.None);

    /// <summary>Returns the command line that starts this program as a worker.</summary>
    /// <param name="planFile">Full path of the plan.</param>
    /// <param name="folderPath">Folder of the results.</param>
    /// <param name="data">Folder of the known data sets; null: taken from the plan.</param>
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

    /// <exception cref="System.ComponentModel.Win32Exception">The system cannot start another process.</exception>
    public static WorkerProcess Start(ProcessStartInfo command)
    {
        command.RedirectStandardInput = command.RedirectStandardOutput = command.RedirectStandardError = true;
        command.UseShellExecute = false;
        return new WorkerProcess(Process.Start(command)!);
    }

    /// <summary>Lets the worker execute a run.</summary>
    /// <param name="place">Zero-based position of the run in the plan.</param>
    /// <param name="cancellationToken">Cancels the wait; the worker must then be disposed.</param>
    /// <returns>The answer; null if the process ended instead.</returns>
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
            // A closed pipe or an incomplete line means that the process has ended; End reports its exit code.
            return null;
        }
    }

    /// <summary>Waits for the process to end and describes how it ended, as a sentence without a full stop.</summary>
    /// <exception cref="OperationCanceledException">The process was ended by the same Ctrl-C as this one, whose token is cancelled a moment
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

    /// <summary>Closes the worker's input, which makes it exit, in the middle of a run after the current step, and waits for
    /// that.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            process.StandardInput.Close();
        }
        catch (IOException) when (process.HasExited)
        {
            // The process is gone, so nothing reads the rest of the buffer.
        }
        await process.WaitForExitAsync(CancellationToken.None);
        process.Dispose();
    }
}
