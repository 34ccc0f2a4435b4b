using System.CommandLine;
using Microsoft.ML.Dpl.Tool;
using Microsoft.ML.Dpl.Tool.Commands;

var root = new RootCommand("Differentiable Prompt Learning for CLIP: few-shot image classification without writing code.");
root.Subcommands.Add(FitCommand.Create());
root.Subcommands.Add(SearchCommand.Create());
root.Subcommands.Add(FitCommand.CreateTrain());
root.Subcommands.Add(CompareCommand.Create());
root.Subcommands.Add(EvaluateCommand.Create());
root.Subcommands.Add(PredictCommand.Create());
root.Subcommands.Add(ZeroShotCommand.Create());
root.Subcommands.Add(InspectCommand.Create());
root.Subcommands.Add(ReportCommand.Create());
root.Subcommands.Add(CompletionCommand.Create());
root.Subcommands.Add(ExportCommand.Create());
root.Subcommands.Add(ImportCommand.Create());
root.Subcommands.Add(BackboneCommand.Create());
return await CommandLine.Run(root, args);
