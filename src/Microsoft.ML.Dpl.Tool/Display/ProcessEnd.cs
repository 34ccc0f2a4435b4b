using System.Runtime.InteropServices;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>
/// Ends the process as it stands. <see cref="Environment.Exit"/> runs what libraries have left to be done at the end, and libtorch's tears
/// down what other threads still compute with: more often than not the process then ended by SIGSEGV.
/// </summary>
internal static class ProcessEnd
{
    private const nint ThisProcess = -1; // GetCurrentProcess

    /// <summary>Does not return.</summary>
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
