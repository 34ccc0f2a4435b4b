using System.Text.Json;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tool.Results;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>The two console streams: results go to the standard output, everything else to the error stream.</summary>
internal static class Terminal
{
    // If the output is not a terminal, Spectre.Console assumes 80 columns, which would wrap tables.
    private const int RedirectedWidth = 240;

    /// <summary>How this run of the command shows progress. It also determines the form of messages: JSON objects in
    /// <see cref="ProgressMode.Json"/>, no notes in <see cref="ProgressMode.None"/>.</summary>
    public static ProgressMode Mode { get; set; } = ProgressMode.Auto;

    /// <summary>The standard output, for results.</summary>
    public static IAnsiConsole Out { get; } = Create(Console.Out, Console.IsOutputRedirected);

    /// <summary>The error stream, for progress, warnings and errors.</summary>
    public static IAnsiConsole Error { get; } = Create(Console.Error, Console.IsErrorRedirected);

    /// <summary>Whether the error stream is a terminal that can show progress bars.</summary>
    public static bool HasMovingError => !Console.IsErrorRedirected && Error.Profile.Capabilities is { Interactive: true, Ansi: true };

    /// <summary>Escapes text for a table cell or the label of a progress bar. Names of classes and files are untrusted, so neither markup
    /// nor terminal escape sequences in them may take effect.</summary>
    public static string Cell(string text) => Markup.Escape(ShownText.Escape(text, int.MaxValue));

    /// <summary>Writes a line of results.</summary>
    public static void Line(string text) => Console.Out.WriteLine(ShownText.EscapeLines(text));

    /// <summary>Writes text of several lines, with terminal escape sequences made harmless.</summary>
    public static void Text(string text) => Console.Out.Write(ShownText.EscapeLines(text));

    /// <summary>Writes lines to the error stream that are not a message.</summary>
    public static void ErrorLines(string text) => Console.Error.WriteLine(ShownText.EscapeLines(text));

    /// <summary>Writes an informational message.</summary>
    public static void Note(string message)
    {
        if (Mode != ProgressMode.None)
            Write(Style.Plain, "note", message);
    }

    /// <summary>Writes a warning.</summary>
    public static void Warn(string message) => Write(new Style(Color.Yellow), "warning", message, "Warning: ");

    /// <summary>Writes the reason why a command failed, wholly or partly.</summary>
    public static void Fail(string message) => Write(new Style(Color.Red), "error", message);

    /// <summary>Writes one object as a line of JSON to the error stream.</summary>
    public static void WriteJson<T>(T value) => Console.Error.WriteLine(JsonSerializer.Serialize(value, ToolJson.Progress));

    private static void Write(Style style, string level, string message, string before = "")
    {
        if (Mode == ProgressMode.Json)
        {
            WriteJson(new { level, message });
            return;
        }
        message = ShownText.EscapeLines(message);
        // Not wrapped if the stream is redirected, so that a program reads each message as one line.
        if (Console.IsErrorRedirected)
            Console.Error.WriteLine(before + message);
        else
            Error.Write(new Text(before + message + "\n", style));
    }

    private static IAnsiConsole Create(TextWriter writer, bool redirected)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer) });
        if (redirected)
            console.Profile.Width = RedirectedWidth;
        return console;
    }
}
