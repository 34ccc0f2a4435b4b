using System.CommandLine;
using System.ComponentModel;
using System.Diagnostics;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Studies.Plan;
using Microsoft.ML.Dpl.Tool.Studies.Runs;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl study submit</c>: submits a study to a cluster's scheduler.</summary>
internal sealed class StudySubmitCommand
{
    private readonly Argument<string> _plan = new("plan")
    {
        Description = "The plan, on a path that every machine of the cluster can read.",
    };
    private readonly Option<string?> _output = new("--output", "-o")
    {
        Description = "Folder of the results, on a file system that all machines share. Default: as for dpl study.",
        HelpName = "folder",
    };
    private readonly Option<string?> _data = StudyCommand.DataOption();
    private readonly Option<int> _tasks = new("--tasks")
    {
        Description = "Tasks that share the runs, each with the plan's number of threads.",
        HelpName = "number",
        Required = true,
    };
    private readonly Option<bool> _slurm = new("--slurm") { Description = "Submits a job array, followed by a job that makes the table." };
    private readonly Option<string[]> _sbatch = new("--sbatch")
    {
        Description = "Options for sbatch, once each: --sbatch=--partition=gpu --sbatch=--gres=gpu:1.",
        HelpName = "option",
    };
    private readonly Option<bool> _kubernetes = new("--kubernetes") { Description = "Prints an Indexed Job for kubectl create -f -." };
    private readonly Option<string> _image = new("--image")
    {
        Description = "With --kubernetes: a container image with dpl on its path.",
        HelpName = "image",
        DefaultValueFactory = _ => "dpl:latest",
    };
    private readonly Option<string> _claim = new("--claim")
    {
        Description = "With --kubernetes: the claim of the volume with plan, data and results, mounted at the plan's folder.",
        HelpName = "name",
        DefaultValueFactory = _ => "dpl-study",
    };

    public static System.CommandLine.Command Create()
    {
        var verb = new StudySubmitCommand();
        var command = new ExampledCommand(
            "submit",
            "Hands a study to a cluster's own scheduler, with the runs shared out among tasks. Completed runs are skipped, so the same "
                + "command continues an interrupted study.",
            "dpl study submit paper.json --slurm --tasks 40 --sbatch=--partition=gpu",
            "dpl study submit paper.json --kubernetes --tasks 40 --image registry/dpl --claim studies | kubectl create -f -"
        );
        command.Arguments.Add(verb._plan);
        foreach (
            Option option in new Option[]
            {
                verb._output,
                verb._data,
                verb._tasks,
                verb._slurm,
                verb._sbatch,
                verb._kubernetes,
                verb._image,
                verb._claim,
            }
        )
            command.Options.Add(option);
        command.SetAction(arguments => Task.FromResult((int)verb.Run(arguments)));
        return command;
    }

    private ExitCode Run(ParseResult arguments)
    {
        if (arguments.GetValue(_slurm) == arguments.GetValue(_kubernetes))
            throw new ArgumentException("Give either --slurm or --kubernetes.");
        int tasks = arguments.GetRequiredValue(_tasks);
        if (tasks < 1)
            throw new ArgumentException($"--tasks must be at least 1; it is {tasks}.");
        string? data = arguments.GetValue(_data);
        StudyPlan plan = StudyPlan.Read(arguments.GetRequiredValue(_plan), data);
        string file = Path.GetFullPath(plan.File);
        var job = new ClusterJob(
            file,
            Path.GetFullPath(arguments.GetValue(_output) ?? Path.ChangeExtension(file, ".results")),
            Math.Min(tasks, plan.Runs.Count),
            plan.Threads
        )
        {
            Data = data is null ? null : Path.GetFullPath(data),
        };
        if (arguments.GetValue(_kubernetes))
        {
            Terminal.Text(
                job.Kubernetes(arguments.GetRequiredValue(_image), arguments.GetRequiredValue(_claim), Path.GetDirectoryName(file)!)
            );
            return ExitCode.Success;
        }
        string[] options = arguments.GetValue(_sbatch) ?? [];
        string Write(string name, string text)
        {
            OutputFile script = OutputFile.Check(Path.Combine(job.Folder, name), "--output");
            script.Write(unfinished => File.WriteAllText(unfinished, text));
            return script.FullPath;
        }
        string array = Write(ClusterJob.ArrayScript, job.SlurmArray(options)),
            table = Write(ClusterJob.TableScript, job.SlurmTable(options));
        string id = Submit(array);
        // afterany: also if a task failed, since the table says what is missing.
        string tableId = Submit($"--dependency=afterany:{id}", table);
        Terminal.Line($"{id} {tableId}");
        Terminal.Note($"Job {id} does the {plan.Runs.Count} runs, job {tableId} then writes '{Path.Combine(job.Folder, "table.md")}'.");
        return ExitCode.Success;
    }

    /// <returns>The job's number.</returns>
    private static string Submit(params string[] arguments)
    {
        try
        {
            using Process sbatch = Process.Start(
                new ProcessStartInfo("sbatch", ["--parsable", .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true }
            )!;
            Task<string> said = sbatch.StandardError.ReadToEndAsync();
            string id = sbatch.StandardOutput.ReadToEnd().Trim().Split(';')[0];
            sbatch.WaitForExit();
            return sbatch.ExitCode == 0
                ? id
                : throw new InvalidOperationException($"sbatch refused '{arguments[^1]}': {said.Result.ReplaceLineEndings(" ").Trim()}");
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException(
                $"sbatch could not be run: {e.Message}. The script is '{arguments[^1]}': submit it on a machine of the cluster.",
                e
            );
        }
    }
}
