using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary>A command whose help ends with examples.</summary>
internal sealed class ExampledCommand(string name, string description, params string[] examples)
    : System.CommandLine.Command(name, description)
{
    /// <summary>Complete command lines.</summary>
    public IReadOnlyList<string> Examples => examples;
}

/// <summary>The default help, followed by the command's examples and the exit codes.</summary>
internal sealed class ExampledHelp(HelpAction usual) : SynchronousCommandLineAction
{
    /// <summary>The exit codes and their meanings, one line each.</summary>
    private static readonly (ExitCode Code, string Meaning)[] Codes =
    [
        (ExitCode.Success, "everything was done"),
        (ExitCode.Unexpected, "unexpected error: a fault of the program or the machine"),
        (ExitCode.BadInput, "the command line, or what it names, cannot be used"),
        (ExitCode.PartlyFailed, "some images could not be read, or runs of a study failed; the others were done"),
        (ExitCode.NoDevice, "the GPU that --device names is not there or cannot be used"),
        (ExitCode.Diverged, "a loss became NaN or infinite; the best result so far is written if there is one"),
        (ExitCode.Cancelled, "cancelled by Ctrl-C or a signal; the best result so far is written if there is one"),
        (ExitCode.OutputClosed, "the output of predict was closed by its reader, as with | head"),
    ];

    /// <summary>Adds examples and exit codes to the help of all commands.</summary>
    public static void AddTo(RootCommand root)
    {
        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Action = new ExampledHelp((HelpAction)help.Action!);
    }

    public override int Invoke(ParseResult parseResult)
    {
        int code = usual.Invoke(parseResult);
        TextWriter output = parseResult.InvocationConfiguration.Output;
        if (parseResult.CommandResult.Command is ExampledCommand { Examples.Count: > 0 } command)
        {
            output.WriteLine("Examples:");
            foreach (string example in command.Examples)
                output.WriteLine($"  {example}");
            output.WriteLine();
        }
        output.WriteLine("Exit codes:");
        foreach (var (exit, meaning) in Codes)
            output.WriteLine($"  {(int)exit, -4} {meaning}");
        output.WriteLine();
        return code;
    }
}
