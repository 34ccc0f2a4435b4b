using System.CommandLine;
using System.Text.Json;
using Microsoft.ML.Dpl.Tool.Results;
using Microsoft.ML.Dpl.Tool.Studies.DataSets;
using Spectre.Console;
using Terminal = Microsoft.ML.Dpl.Tool.Display.Terminal;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl data check</c>: reports which of the data sets from the literature are in a folder, and whether they are
/// complete.</summary>
internal static class DataCommand
{
    public static System.CommandLine.Command Create()
    {
        var command = new ExampledCommand("data", "Checks the data sets that studies know by name.", "dpl data check ~/data");
        command.Subcommands.Add(Check());
        return command;
    }

    private static ExampledCommand Check()
    {
        var root = new Argument<string>("root")
        {
            Description = "The folder with the data sets, each in its own folder as in CoOp's DATASETS.md.",
        };
        var format = new Options.ChoiceOption<ResultFormat>("--format", "table, or json.", ResultFormat.Table);
        var command = new ExampledCommand(
            "check",
            "Shows which of the eleven data sets and the variants of ImageNet are there, what is missing, and which have other numbers of "
                + "classes or images than published. No image is opened.",
            "dpl data check ~/data"
        );
        command.Arguments.Add(root);
        command.Options.Add(format);
        command.SetAction(
            (arguments, cancellationToken) =>
            {
                string folder = arguments.GetRequiredValue(root);
                if (!Directory.Exists(folder))
                    throw new DirectoryNotFoundException($"There is no folder '{folder}'.");
                DataFinding[] findings = [.. KnownDataSets.All.Select(known => DataCheck.Run(known, folder, cancellationToken))];
                if (format.Read(arguments) == ResultFormat.Json)
                    WriteJson(findings);
                else
                    WriteTable(findings);
                bool isUsable = findings.Any(finding => finding.Found is not null);
                if (!isUsable)
                    Terminal.Fail(
                        $"None of the data sets is in '{folder}': make the folders as "
                            + "https://github.com/KaiyangZhou/CoOp/blob/main/DATASETS.md says."
                    );
                bool isBroken = findings.Any(finding => finding.State == DataState.Broken);
                return Task.FromResult((int)(isUsable && !isBroken ? ExitCode.Success : ExitCode.BadInput));
            }
        );
        return command;
    }

    private static void WriteTable(IReadOnlyList<DataFinding> findings)
    {
        Table table = new Table().Border(TableBorder.Simple).AddColumns("data set", "folder", "state", "found", "note");
        foreach (DataFinding finding in findings)
            table.AddRow(
                finding.DataSet.Name,
                finding.DataSet.Folder,
                InWords(finding.State),
                finding.Found?.ToString() ?? "",
                Terminal.Cell(string.Join("; ", finding.Notes))
            );
        Terminal.Out.Write(table);
    }

    private static void WriteJson(IReadOnlyList<DataFinding> findings)
    {
        var told = findings.Select(finding => new
        {
            name = finding.DataSet.Name,
            folder = finding.DataSet.Folder,
            finding.State,
            finding.Found,
            published = finding.DataSet.Size,
            finding.Notes,
        });
        Console.Out.WriteLine(JsonSerializer.Serialize(told, ToolJson.Indented));
    }

    private static string InWords(DataState state) =>
        state switch
        {
            DataState.Whole => "whole",
            DataState.OtherSize => "other size",
            DataState.Broken => "broken",
            _ => "absent",
        };
}
