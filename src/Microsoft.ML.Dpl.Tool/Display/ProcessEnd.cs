using System.Runtime.InteropServices;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>
/// Ends the process immediately. <see cref="Environment.Exit"/> would run the libraries' exit handlers, and those of libtorch destroy
/// objects that other threads still compute with: more often than not the process then ended with SIGSEGV.
/// </summary>
internal static class ProcessEnd
{
    private const nint ThisProcess = -1; // GetCurrentProcess

    /// <summary>Flushes the error stream and ends the process with an exit code; does not return.</summary>
    public static void At(int code)
    {
        Console.Error.Flush();
        if (OperatingSystem.IsWindows())
            TerminateProcess(ThisProcess, (uint)code);
        else
            ExitNow(code);
    }

    [DllImport("libc", EntryPoint = "_exit")]
    private static extern void ExitNow(int code);

    [DllImport("kernel32")]
    private static extern int TerminateProcess(nint process, uint code);
}
