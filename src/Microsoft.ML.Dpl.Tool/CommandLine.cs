using System.CommandLine;
using System.CommandLine.Invocation;
using System.Text;
using Microsoft.ML.Dpl.Tool.Commands;
using Microsoft.ML.Dpl.Tool.Display;

namespace Microsoft.ML.Dpl.Tool;

/// <summary>Runs a command line: signals cancel it, exceptions become one-sentence messages, and every outcome has its exit code.</summary>
internal static class CommandLine
{
    private static readonly Option<bool> Verbose = new("--verbose")
    {
        Description = "Shows the library's notes, and the full exception if something fails.",
        Recursive = true,
    };

    /// <summary>Whether --verbose was given.</summary>
    public static bool IsVerbose(ParseResult arguments) => arguments.GetValue(Verbose);

    public static async Task<int> Run(RootCommand root, string[] words)
    {
        // UTF-8 is the default on other systems; on Windows, names of classes and files would lose characters without it.
        if (OperatingSystem.IsWindows())
            Console.InputEncoding = Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        LibTorchFolder.Choose();
        root.Options.Add(Verbose);
        ExampledHelp.AddTo(root);
        ParseResult arguments = root.Parse(words);
        if (arguments.Action is ParseErrorAction refusal)
            return (int)ParseFailure.Report(arguments, refusal);
        try
        {
            return await Interruption.Run(arguments, showsExceptions: false, Terminal.Note, EndAtOnce);
        }
        catch (Exception e)
        {
            return (int)Failure.Report(e, IsVerbose(arguments));
        }
    }

    private static void EndAtOnce(Action end)
    {
        // Show the cursor, which a progress display hides.
        if (Terminal.HasMovingError)
            Console.Error.Write("\u001b[?25h");
        OutputFile.Abandon(end);
    }
}
