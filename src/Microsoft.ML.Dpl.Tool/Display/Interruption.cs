using System.CommandLine;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>
/// Ctrl-C and the signals that ask a process to end, for the command and the samples: the first asks the work to end, the second ends the
/// process. System.CommandLine's own handling of signals throws at the second. Handled until the process has ended: a signal that comes
/// between the end of the work and that of the process would otherwise make a success look interrupted.
/// </summary>
internal sealed class Interruption
{
    /// <summary>What a process that was interrupted ends with: 128 and the number of SIGINT.</summary>
    public const int ExitCode = 130;

    // timeout(1) signals its child and then the whole group, and dotnet run hands on what it is sent: that is one request all the same.
    private static readonly TimeSpan OneRequest = TimeSpan.FromSeconds(1);

    // Registrations that nothing refers to are taken back.
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

    /// <summary>Runs a command line whose actions are given a token, which the first signal cancels.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="showsExceptions">Whether an exception is shown as System.CommandLine does; else it is thrown.</param>
    /// <param name="note">Says a sentence to the user; null: on the error stream.</param>
    /// <param name="endAtOnce">Given what ends the process, does what must be done before it; null: shows the cursor.</param>
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
            // Without its time limit it leaves signals alone: a fit may need longer to end well than the two seconds that are usual.
            var configuration = new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = showsExceptions,
                ProcessTerminationTimeout = null,
            };
            return await arguments.InvokeAsync(configuration, interruption._source.Token);
        }
        finally
        {
            // There is nothing left to interrupt: a first signal changes nothing any more.
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
            // Nobody presses Ctrl-C twice by mistake, and no program sends it twice for one request.
            if (context.Signal == PosixSignal.SIGINT || Stopwatch.GetElapsedTime(first, now) >= OneRequest)
                _endAtOnce(() => ProcessEnd.At(ExitCode));
            return;
        }
        if (_isDone)
            return;
        // Cancelled first: what is said may have to wait for a display.
        _source.Cancel();
        _note("Ending after this step; once more ends at once.");
    }

    /// <summary>A progress display hides it.</summary>
    private static void ShowCursor(Action end)
    {
        if (!Console.IsOutputRedirected)
            Console.Out.Write("\u001b[?25h");
        end();
    }
}
