using System.Reflection;
using System.Runtime.InteropServices;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Options;

namespace Microsoft.ML.Dpl.Tool;

/// <summary>Turns an exception into one sentence and an exit code.</summary>
internal static class Failure
{
    /// <param name="exception">The exception that ended a command.</param>
    /// <param name="verbose">Whether to write the whole exception, including the stack trace.</param>
    public static ExitCode Report(Exception exception, bool verbose)
    {
        Exception cause = CauseOf(exception);
        ExitCode code = CodeOf(cause);
        string message = code switch
        {
            ExitCode.Cancelled => "Cancelled.",
            ExitCode.OutputClosed => "",
            ExitCode.BadInput or ExitCode.NoDevice or ExitCode.Diverged => MessageOf(cause),
            _ when cause is InsufficientMemoryException => MessageOf(cause),
            _ when cause is OutOfMemoryException => "There is not enough memory. Give fewer or smaller images, or end other programs.",
            _ => $"Unexpected {cause.GetType().Name}: {MessageOf(cause)}{(verbose ? "" : " Run again with --verbose for the details.")}",
        };
        if (message.Length > 0)
            Terminal.Fail(message);
        if (verbose)
            Terminal.ErrorLines(exception.ToString());
        return code;
    }

    /// <summary>Unwraps the exceptions that ML.NET wraps while loading a model, and those that tasks wrap.</summary>
    public static Exception CauseOf(Exception exception) =>
        exception switch
        {
            TargetInvocationException { InnerException: { } inner } => CauseOf(inner),
            AggregateException { InnerExceptions: [var only] } => CauseOf(only),
            _ => exception,
        };

    private static ExitCode CodeOf(Exception cause) =>
        cause switch
        {
            OperationCanceledException => ExitCode.Cancelled,
            MissingDeviceException => ExitCode.NoDevice,
            DivergedException => ExitCode.Diverged,
            IOException closed when StandardOutput.IsClosed(closed) => ExitCode.OutputClosed,
            ObjectDisposedException or ExternalException => ExitCode.Unexpected,
            ArgumentException
            or InvalidOperationException
            or InvalidDataException
            or FormatException
            or IOException
            or UnauthorizedAccessException
            or NotSupportedException
            or DllNotFoundException => ExitCode.BadInput,
            _ => ExitCode.Unexpected,
        };

    /// <summary>The exception's message without the parameter name, which means nothing to the user.</summary>
    public static string MessageOf(Exception cause)
    {
        string message = cause.Message;
        if (cause is ArgumentException { ParamName: { Length: > 0 } name })
            message = message.Replace($" (Parameter '{name}')", "", StringComparison.Ordinal);
        return TrainerOptionNames.InWords(message.ReplaceLineEndings(" ").Trim());
    }
}
