using System.CommandLine;
using System.Text;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Studies.Table;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary>Output formats of a study's table.</summary>
internal enum StudyTableFormat
{
    Markdown,
    Csv,
    Latex,
    Html,
}

/// <summary><c>dpl study table</c>: makes a table of the results in a folder.</summary>
internal static class StudyTableCommand
{
    public static System.CommandLine.Command Create()
    {
        var folder = new Argument<string>("folder") { Description = "The results of dpl study." };
        var format = new ChoiceOption<StudyTableFormat>(
            "--format",
            "markdown; csv, one line for each figure; latex, tabulars; html, one page with plots.",
            StudyTableFormat.Markdown
        );
        var output = new Option<string?>("--output", "-o")
        {
            Description = "File for the table. Default: the standard output.",
            HelpName = "file",
        };
        var baseline = new Option<string?>("--baseline")
        {
            Description = "The method that the others are compared to, run by run. Default: the plan's first.",
            HelpName = "method",
        };
        var noSeconds = new Option<bool>("--no-seconds")
        {
            Description = "Leaves out times, so that two tables of the same runs are identical.",
        };
        var command = new ExampledCommand(
            "table",
            "Makes a table of what has been run: mean and 95 % interval over seeds, differences of methods on the same draws with their "
                + "intervals, costs.",
            "dpl study table results",
            "dpl study table results --format html --output table.html --baseline uniform:4"
        );
        command.Arguments.Add(folder);
        foreach (Option option in new Option[] { format, output, baseline, noSeconds })
            command.Options.Add(option);
        command.SetAction(arguments =>
        {
            string path = arguments.GetRequiredValue(folder);
            OutputFile? file = arguments.GetValue(output) is { } named ? OutputFile.Check(named, output.Name) : null;
            StudyResults results = StudyResults.Read(path, Terminal.Warn);
            if (results.MixedVersions is { } mixed)
                Terminal.Warn($"{mixed} A folder of its own for each version (dpl study --output) keeps them apart.");
            foreach (string sentence in results.MixedSettings)
                Terminal.Warn($"{sentence} A folder of its own for each setting (dpl study --output) keeps them apart.");
            var table = new StudyTable(results, arguments.GetValue(baseline), withSeconds: !arguments.GetValue(noSeconds));
            string text = format.Read(arguments) switch
            {
                StudyTableFormat.Csv => StudyCsv.Write(table),
                StudyTableFormat.Latex => SheetText.Latex(table.Sheets),
                StudyTableFormat.Html => StudyPage.Html(table, Path.GetFileName(Path.GetFullPath(path))),
                _ => SheetText.Markdown(table.Sheets),
            };
            if (file is null)
                Terminal.Text(text);
            else
                file.Write(unfinished => File.WriteAllText(unfinished, text, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false)));
            return Task.FromResult((int)ExitCode.Success);
        });
        return command;
    }
}
