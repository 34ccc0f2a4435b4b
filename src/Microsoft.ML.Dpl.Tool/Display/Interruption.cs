using System.Runtime.InteropServices;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>
/// Ctrl-C and the signals that ask a process to end: the first asks the work to end, the second ends the process. Handled until the process
/// has ended: a signal that comes between the end of the work and that of the process would otherwise make a success look interrupted.
/// </summary>
internal sealed class Interruption
{
    // Registrations that nothing refers to are taken back.
    private static Interruption? _ofProcess;

    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private int _signals;
    private volatile bool _isDone;

    private Interruption()
    {
        foreach (PosixSignal signal in new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP })
            _registrations.Add(PosixSignalRegistration.Create(signal, OnSignal));
    }

    /// <summary>That of this process.</summary>
    public static Interruption OfProcess => _ofProcess ??= new Interruption();

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>There is nothing left to interrupt: a first signal changes nothing any more.</summary>
    public void WorkHasEnded() => _isDone = true;

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        if (Interlocked.Increment(ref _signals) > 1)
        {
            // A progress display hides the cursor.
            if (Terminal.HasMovingError)
                Console.Error.Write("\u001b[?25h");
            OutputFile.Abandon(() => ProcessEnd.At(ExitCode.Cancelled));
        }
        if (_isDone)
            return;
        // Cancelled first: what is said may have to wait for a display.
        _source.Cancel();
        Terminal.Note("Ending after this step; once more ends at once.");
    }
}
