using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Dpl.Tool.Tests;

/// <summary>Ctrl-C from outside.</summary>
internal static class Signals
{
    private const int SignalInterrupt = 2;

    public static void Interrupt(Process process) => Assert.Equal(0, Kill(process.Id, SignalInterrupt));

    [DllImport("libc", EntryPoint = "kill")]
    private static extern int Kill(int process, int signal);
}
