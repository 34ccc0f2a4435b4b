using System.CommandLine;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>
/// Handles Ctrl-C and termination signals for the command and the samples: the first cancels the work, the second ends the process.
/// System.CommandLine's own signal handling throws at the second one. Signals are handled until the process has ended: one that arrives
/// between the end of the work and that of the process would otherwise make a success look interrupted.
/// </summary>
internal sealed class Interruption
{
    /// <summary>The exit code of an interrupted process: 128 plus the number of SIGINT.</summary>
    public const int ExitCode = 130;

    // timeout(1) signals its child and then the whole process group, and dotnet run forwards signals, so several signals may stem from one
    // request.
    private static readonly TimeSpan OneRequest = TimeSpan.FromSeconds(1);

    // A static reference, since registrations are undone when they are garbage-collected.
    private static Interruption? _ofProcess;

    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private readonly Action<string> _note;
    private readonly Action<Action> _endAtOnce;
    private long _first;
    private volatile bool _isDone;

    private Interruption(Action<string> note, Action<Action> endAtOnce)
    {
        (_note, _endAtOnce) = (note, endAtOnce);
        foreach (PosixSignal signal in new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP })
            _registrations.Add(PosixSignalRegistration.Create(signal, OnSignal));
    }

    /// <summary>Runs a command line and passes its actions a token that the first signal cancels.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="showsExceptions">Whether System.CommandLine shows exceptions; otherwise they are thrown.</param>
    /// <param name="note">Shows a message to the user; null: written to the error stream.</param>
    /// <param name="endAtOnce">Called with the action that ends the process, to clean up before calling it; null: shows the cursor and
    /// ends.</param>
    /// <returns>The action's exit code.</returns>
    public static async Task<int> Run(
        ParseResult arguments,
        bool showsExceptions = true,
        Action<string>? note = null,
        Action<Action>? endAtOnce = null
    )
    {
        Interruption interruption = _ofProcess ??= new Interruption(note ?? Console.Error.WriteLine, endAtOnce ?? ShowCursor);
        try
        {
            // Without a termination timeout System.CommandLine does not handle signals; its usual two seconds are too short for a fit to
            // end properly.
            var configuration = new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = showsExceptions,
                ProcessTerminationTimeout = null,
            };
            return await arguments.InvokeAsync(configuration, interruption._source.Token);
        }
        finally
        {
            // From now on there is nothing to interrupt, so a first signal has no effect.
            interruption._isDone = true;
        }
    }

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        long now = Stopwatch.GetTimestamp(),
            first = Interlocked.CompareExchange(ref _first, now, 0);
        if (first != 0)
        {
            // A second Ctrl-C is always deliberate, and no program sends SIGINT twice for one request.
            if (context.Signal == PosixSignal.SIGINT || Stopwatch.GetElapsedTime(first, now) >= OneRequest)
                _endAtOnce(() => ProcessEnd.At(ExitCode));
            return;
        }
        if (_isDone)
            return;
        // Cancel first, since the message may have to wait for the progress display.
        _source.Cancel();
        _note("Stopping after this step; interrupt again to stop at once.");
    }

    /// <summary>Shows the cursor, which a progress display hides, and ends the process.</summary>
    private static void ShowCursor(Action end)
    {
        if (!Console.IsOutputRedirected)
            Console.Out.Write("\u001b[?25h");
        end();
    }
}
