using System.CommandLine;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Studies.Plan;
using Microsoft.ML.Dpl.Tool.Studies.Runs;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl study</c>: many runs from one plan, whose results are kept one file each.</summary>
internal sealed class StudyCommand
{
    private readonly Argument<string> _plan = new("plan")
    {
        Description = "The plan, a JSON file as described in the guide; with --clip, the file to write it to.",
    };
    private readonly Option<string?> _output = new("--output", "-o")
    {
        Description = "Folder of the results, one file per run. Default: beside the plan, under its name with .results appended.",
        HelpName = "folder",
    };
    private readonly PlanOptions _options = new();
    private readonly Option<string?> _data = DataOption();
    private readonly Option<int?> _jobs = new("--jobs", "-j")
    {
        Description =
            "Runs in parallel, each in its own process with the plan's number of threads. Default: as many as the cores allow; one on a "
            + "GPU. Results do not depend on it.",
        HelpName = "number",
    };
    private readonly Option<string?> _shard = new("--shard")
    {
        Description =
            "Does only every n-th run, beginning with the i-th. Default: from SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX and their "
            + "counts, else all. Results do not depend on it.",
        HelpName = "i/n",
    };
    private readonly ProgressOptions _progress = new();

    public static System.CommandLine.Command Create()
    {
        var verb = new StudyCommand();
        var command = new ExampledCommand(
            "study",
            "Does the runs of a plan: data sets × shots × seeds × methods of one or several protocols. Runs whose results are in the "
                + "folder are skipped, so an interrupted study continues where it stopped.",
            "dpl study paper.json",
            "dpl study paper.json --data ~/data --output results --jobs 4",
            "dpl study paper.json --shard 1/8",
            "dpl study land.json --clip tiny --data-sets land=photos --methods zero-shot uniform:4 default resnet18 --shots 4 16",
            "dpl study table results --format html --output table.html --baseline zero-shot"
        );
        command.Arguments.Add(verb._plan);
        verb._options.AddTo(command);
        command.Options.Add(verb._output);
        command.Options.Add(verb._data);
        command.Options.Add(verb._jobs);
        command.Options.Add(verb._shard);
        verb._progress.AddTo(command);
        command.SetAction((arguments, cancellationToken) => Task.FromResult((int)verb.Run(arguments, cancellationToken)));
        command.Subcommands.Add(StudyTableCommand.Create());
        command.Subcommands.Add(StudySubmitCommand.Create());
        command.Subcommands.Add(Worker());
        return command;
    }

    /// <summary>The folder of the known data sets on this machine, which a plan written elsewhere cannot know.</summary>
    public static Option<string?> DataOption() =>
        new("--data")
        {
            Description = "Folder with the known data sets, as for dpl data check. Default: the plan's own \"data\".",
            HelpName = "folder",
        };

    /// <summary>The hidden command that <see cref="StudyJobs"/> starts in worker processes.</summary>
    private static System.CommandLine.Command Worker()
    {
        var plan = new Argument<string>("plan");
        var output = new Option<string>("--output") { Required = true };
        Option<string?> data = DataOption();
        var command = new System.CommandLine.Command(StudyJobs.WorkerVerb, "Does runs for another process.") { Hidden = true };
        command.Arguments.Add(plan);
        command.Options.Add(output);
        command.Options.Add(data);
        command.SetAction(
            (arguments, cancellationToken) =>
            {
                Terminal.Mode = ProgressMode.None;
                StudyPlan read = StudyPlan.Read(arguments.GetRequiredValue(plan), arguments.GetValue(data));
                new StudyWorker(read, new StudyFolder(arguments.GetRequiredValue(output)), token => new StudyRunner(
                    read,
                    Open(read, token),
                    new StudyData(Ignore, token),
                    token
                )).Work(Console.In, Console.Out, cancellationToken);
                return Task.FromResult((int)ExitCode.Success);
            }
        );
        return command;

        // The parent process has already shown the warnings.
        static void Ignore(string warning) { }
    }

    private ExitCode Run(ParseResult arguments, CancellationToken cancellationToken)
    {
        ProgressMode mode = _progress.Choose(arguments);
        string? root = arguments.GetValue(_data);
        string file = arguments.GetRequiredValue(_plan);
        using var draft = new Draft(file, _options.Write(arguments, file, root));
        StudyPlan plan = StudyPlan.Read(file, root);
        var shard = Shard.Read(arguments.GetValue(_shard), Environment.GetEnvironmentVariable);
        int jobs = Jobs(arguments, plan);
        string folderPath = arguments.GetValue(_output) ?? Path.ChangeExtension(plan.File, ".results");
        ClipBackbone backbone = Open(plan, cancellationToken);
        var folder = new StudyFolder(folderPath);
        Check(plan, backbone);
        List<(StudyRun Run, double Seconds)> done = [];
        int ofOthers = 0;
        List<int> left = [];
        for (int place = 0; place < plan.Runs.Count; place++)
        {
            if (!shard.Has(place))
                continue;
            StudyRun run = plan.Runs[place];
            if (folder.Find(run, StudyRunner.Settings(plan, backbone, run)) is { } result)
            {
                done.Add((run, result.FitSeconds + result.TestSeconds));
                ofOthers += result.Library == StudyRunner.Library ? 0 : 1;
            }
            else
                left.Add(place);
        }
        var data = new StudyData(Terminal.Warn, cancellationToken);
        // The images that a run needs do not depend on its method.
        foreach (StudyRun run in left.Select(place => plan.Runs[place]).DistinctBy(run => (run.Part, run.Data, run.Shots, run.Seed)))
            data.Check(run);
        draft.Keep();
        folder.Write(plan);
        if (done.Count > 0)
            Note(done.Count, done.Count + left.Count, ofOthers);
        int failed = Do(mode, bar =>
        {
            StudyRun[] runs = [.. left.Select(place => plan.Runs[place])];
            var progress = new StudyProgress(mode, bar, jobs, done, runs);
            var work = new StudyJobs(plan, folder, progress, cancellationToken);
            if (jobs == 1 || left.Count < 2)
                work.Here(left, new StudyRunner(plan, backbone, data, cancellationToken));
            else
                work.SideBySide(left, jobs, () => WorkerProcess.Command(Path.GetFullPath(plan.File), Path.GetFullPath(folderPath), root));
            return progress.Failed;
        });
        if (failed == 0)
        {
            Terminal.Note(
                shard.Count > 1
                    ? $"The results of shard {shard.Index + 1}/{shard.Count} are in '{folderPath}'; once those of the others are there, "
                        + $"too, dpl study table {folderPath} makes a table of them."
                    : $"All results are in '{folderPath}'; dpl study table {folderPath} makes a table of it."
            );
            return ExitCode.Success;
        }
        Terminal.Fail($"{failed} of {left.Count} runs failed; the same command does them again.");
        return ExitCode.PartlyFailed;
    }

    /// <summary>Reports how many runs were done before, and warns if a different version of the library did some of them and runs are still
    /// to be added.</summary>
    private static void Note(int done, int all, int ofOthers)
    {
        if (ofOthers == 0 || done == all)
            Terminal.Note($"{done} of {all} runs were done before.");
        else
            Terminal.Warn(
                $"{done} of {all} runs were done before, {ofOthers} of them with another version of the library; {StudyRunner.Library} "
                    + "does the others. To keep versions apart, name another folder with --output."
            );
    }

    private static int Do(ProgressMode mode, Func<Spectre.Console.ProgressTask?, int> work) =>
        mode == ProgressMode.Bars ? MovingBars.Show(context => work(context.AddTask("runs", maxValue: 1))) : work(null);

    private static ClipBackbone Open(StudyPlan plan, CancellationToken cancellationToken)
    {
        LibTorchRuntime.Threads = plan.Threads;
        try
        {
            ModelOptions.RequireDevice(
                plan.Device,
                $"The plan '{plan.File}', device {plan.Device}",
                "Or use the CPU: \"device\": \"cpu\"."
            );
            return BackboneArgument.Resolve(plan.Clip, cancellationToken: cancellationToken);
        }
        catch (Exception e) when (e is FileNotFoundException or ArgumentException)
        {
            throw new InvalidDataException($"The plan '{plan.File}': {e.Message}", e);
        }
    }

    /// <summary>Checks every method before the first run.</summary>
    private static void Check(StudyPlan plan, ClipBackbone backbone)
    {
        foreach (PlanMethod method in plan.Parts.SelectMany(part => part.Methods).DistinctBy(method => method.Text))
        {
            try
            {
                method.Method.Check(backbone);
            }
            catch (ArgumentException e)
            {
                throw method.Where.Wrong($"('{method.Text}') cannot be used: {Failure.MessageOf(e)}");
            }
        }
    }

    private int Jobs(ParseResult arguments, StudyPlan plan)
    {
        if (arguments.GetValue(_jobs) is int given)
            return given >= 1 ? given : throw new ArgumentException($"--jobs must be at least 1; it is {given}.");
        return plan.Device == "cpu" ? Math.Max(1, Environment.ProcessorCount / plan.Threads) : 1;
    }

    /// <summary>A plan that was written from options. It is deleted if it cannot be run, since it would only get in the way of the next
    /// attempt.</summary>
    private sealed class Draft(string file, bool isNew) : IDisposable
    {
        private bool _isDraft = isNew;

        public void Keep() => _isDraft = false;

        public void Dispose()
        {
            if (_isDraft)
                File.Delete(file);
        }
    }
}
