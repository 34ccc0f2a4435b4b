using System.Text.Json;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tool.Results;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>The two streams a person sees: results go to the output, everything else to the error stream.</summary>
internal static class Terminal
{
    // Where the output is no terminal, tables are not to be broken at the 80 columns that are then assumed.
    private const int RedirectedWidth = 240;

    /// <summary>How this run of the command shows progress, and with it what messages look like: objects in
    /// <see cref="ProgressMode.Json"/>, no notes in <see cref="ProgressMode.None"/>.</summary>
    public static ProgressMode Mode { get; set; } = ProgressMode.Auto;

    /// <summary>Results.</summary>
    public static IAnsiConsole Out { get; } = Create(Console.Out, Console.IsOutputRedirected);

    /// <summary>Progress, warnings and errors.</summary>
    public static IAnsiConsole Error { get; } = Create(Console.Error, Console.IsErrorRedirected);

    /// <summary>Whether bars can move on the error stream.</summary>
    public static bool HasMovingError => !Console.IsErrorRedirected && Error.Profile.Capabilities is { Interactive: true, Ansi: true };

    /// <summary>Text as a cell of a table or the name of a bar shows it: names of classes and files may come from anyone, and neither
    /// markup nor a terminal's escapes in them are obeyed.</summary>
    public static string Cell(string text) => Markup.Escape(ShownText.Escape(text, int.MaxValue));

    /// <summary>A line of results for people.</summary>
    public static void Line(string text) => Console.Out.WriteLine(ShownText.EscapeLines(text));

    /// <summary>Writes text of several lines as it is, made safe to show.</summary>
    public static void Text(string text) => Console.Out.Write(ShownText.EscapeLines(text));

    /// <summary>Lines of the error stream that are no message.</summary>
    public static void ErrorLines(string text) => Console.Error.WriteLine(ShownText.EscapeLines(text));

    /// <summary>Something worth knowing.</summary>
    public static void Note(string message)
    {
        if (Mode != ProgressMode.None)
            Write(Style.Plain, "note", message);
    }

    /// <summary>Something worth looking at.</summary>
    public static void Warn(string message) => Write(new Style(Color.Yellow), "warning", message, "Warning: ");

    /// <summary>Why a command did not do what it was asked to.</summary>
    public static void Fail(string message) => Write(new Style(Color.Red), "error", message);

    /// <summary>One object on a line of the error stream.</summary>
    public static void WriteJson<T>(T value) => Console.Error.WriteLine(JsonSerializer.Serialize(value, ToolJson.Progress));

    private static void Write(Style style, string level, string message, string before = "")
    {
        if (Mode == ProgressMode.Json)
        {
            WriteJson(new { level, message });
            return;
        }
        message = ShownText.EscapeLines(message);
        // Unbroken where a program reads it: a message is one line.
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
