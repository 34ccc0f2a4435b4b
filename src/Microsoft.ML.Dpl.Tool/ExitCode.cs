using Microsoft.ML.Dpl.Tool.Display;

namespace Microsoft.ML.Dpl.Tool;

/// <summary>What a run of the command ends with.</summary>
internal enum ExitCode
{
    /// <summary>All was done.</summary>
    Success = 0,

    /// <summary>A fault of the program, or of the machine.</summary>
    Unexpected = 1,

    /// <summary>The command line or what it names cannot be used; the message says what to do.</summary>
    BadInput = 2,

    /// <summary>Some images could not be read, or runs of a study failed; the others were done.</summary>
    PartlyFailed = 3,

    /// <summary>The GPU that was asked for is not there, or not usable.</summary>
    NoDevice = 4,

    /// <summary>A loss or a gradient ceased to be a number; what was best until then is written where there was something.</summary>
    Diverged = 5,

    /// <summary>Ended by Ctrl-C or a signal; what was best until then is written where there was something.</summary>
    Cancelled = Interruption.ExitCode,

    /// <summary>Whoever read the output stopped reading: 128 and the number of SIGPIPE, as of commands that this signal ends.</summary>
    OutputClosed = 141,
}
