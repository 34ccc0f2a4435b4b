using System.CommandLine;
using Microsoft.ML.Dpl.Tool;
using Microsoft.ML.Dpl.Tool.Commands;

var root = new RootCommand("Differentiable Prompt Learning for CLIP: few-shot image classification without writing code.");
root.Subcommands.Add(ExportCommand.Create());
root.Subcommands.Add(ImportCommand.Create());
try
{
    return await root.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception e)
{
    return (int)Failure.Report(e, verbose: false);
}
