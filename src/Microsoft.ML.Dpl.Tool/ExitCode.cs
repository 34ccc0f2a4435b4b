using Microsoft.ML.Dpl.Tool.Display;

namespace Microsoft.ML.Dpl.Tool;

/// <summary>The exit codes of the command.</summary>
internal enum ExitCode
{
    /// <summary>Everything was done.</summary>
    Success = 0,

    /// <summary>An error in the program or the machine.</summary>
    Unexpected = 1,

    /// <summary>The command line, or a file that it names, cannot be used; the message says what to do.</summary>
    BadInput = 2,

    /// <summary>Some images could not be read, or some runs of a study failed; the others were completed.</summary>
    PartlyFailed = 3,

    /// <summary>The requested GPU is missing or cannot be used.</summary>
    NoDevice = 4,

    /// <summary>A loss or a gradient became NaN or infinite; the best result until then, if any, is written.</summary>
    Diverged = 5,

    /// <summary>Cancelled by Ctrl-C or a signal; the best result until then, if any, is written.</summary>
    Cancelled = Interruption.ExitCode,

    /// <summary>The reader of the output closed the pipe: 128 plus the number of SIGPIPE, as for commands ended by this signal.</summary>
    OutputClosed = 141,
}
