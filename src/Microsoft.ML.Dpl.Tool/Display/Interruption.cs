using System.Runtime.InteropServices;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>Ctrl-C and the signals that ask a process to end: the first asks the work to end, the second ends the process.</summary>
internal sealed class Interruption : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private int _signals;

    public Interruption()
    {
        foreach (PosixSignal signal in new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP })
            _registrations.Add(PosixSignalRegistration.Create(signal, OnSignal));
    }

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Token => _source.Token;

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations)
            registration.Dispose();
        _source.Dispose();
    }

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
        // Cancelled first: what is said may have to wait for a display.
        _source.Cancel();
        Terminal.Note("Ending after this step; once more ends at once.");
    }
}
