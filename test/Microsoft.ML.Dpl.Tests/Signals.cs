using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>Signals from outside, as a terminal or another program sends them.</summary>
internal static class Signals
{
    /// <summary>SIGINT: Ctrl-C.</summary>
    public const int Interrupt = 2;

    /// <summary>SIGTERM: sent by timeout, container runtimes and schedulers.</summary>
    public const int Terminate = 15;

    public static void Send(Process process, int signal) => Assert.Equal(0, Kill(process.Id, signal));

    [DllImport("libc", EntryPoint = "kill")]
    private static extern int Kill(int process, int signal);
}
