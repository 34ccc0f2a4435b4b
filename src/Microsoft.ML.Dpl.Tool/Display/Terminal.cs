using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>The two streams a person sees: results go to the output, everything else to the error stream.</summary>
internal static class Terminal
{
    // Where the output is no terminal, tables are not to be broken at the 80 columns that are then assumed.
    private const int RedirectedWidth = 240;

    /// <summary>Results.</summary>
    public static IAnsiConsole Out { get; } = Create(Console.Out, Console.IsOutputRedirected);

    /// <summary>Progress, warnings and errors.</summary>
    public static IAnsiConsole Error { get; } = Create(Console.Error, Console.IsErrorRedirected);

    /// <summary>Something worth knowing.</summary>
    public static void Note(string message) => Write(Style.Plain, message);

    /// <summary>Something worth looking at.</summary>
    public static void Warn(string message) => Write(new Style(Color.Yellow), $"Warning: {message}");

    /// <summary>Why a command did not do what it was asked to.</summary>
    public static void Fail(string message) => Write(new Style(Color.Red), message);

    private static void Write(Style style, string message)
    {
        // Unbroken where a program reads it: a message is one line.
        if (Console.IsErrorRedirected) Console.Error.WriteLine(message);
        else Error.Write(new Text(message + "\n", style));
    }

    private static IAnsiConsole Create(TextWriter writer, bool redirected)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer) });
        if (redirected) console.Profile.Width = RedirectedWidth;
        return console;
    }
}
