using System.CommandLine;
using System.Text.Json;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl compare</c>: fits and tests several configurations on the same images with the same budget.</summary>
internal sealed class CompareCommand
{
    private static readonly string[] Standard = [ConfigurationArgument.ZeroShot, "uniform:4", ConfigurationArgument.Search];

    private readonly DataOptions _data = new(learns: true);
    private readonly ModelOptions _clip = new(needsClip: true);
    private readonly SearchOptions _search = new(trains: true);
    private readonly TrainingOptions _training = new();
    private readonly DesignOptions _design = new(trains: true);
    private readonly CommonOptions _common = new();
    private readonly ProgressOptions _progress = new();
    private readonly Option<string[]> _configurations = new("--configuration")
    {
        Description = $"What is compared, one or several: search; {ConfigurationArgument.Forms}. Default: {string.Join(' ', Standard)}.",
        HelpName = "lengths",
        AllowMultipleArgumentsPerToken = true,
    };
    private readonly JsonOption _json = new("the results (the table, rewritten after each configuration)", "none");

    /// <summary>The results of one configuration, as written to JSON.</summary>
    private sealed record Compared(
        string Name,
        PromptConfiguration Configuration,
        AccuracyInterval Accuracy,
        double MacroAccuracy,
        double LogLoss,
        double CalibrationError,
        double? ValidationAccuracy,
        double Seconds
    )
    {
        public static Compared From(Trial trial) =>
            new(
                trial.Name,
                trial.Configuration,
                trial.Test.Accuracy,
                trial.Test.MacroAccuracy,
                trial.Test.LogLoss,
                trial.Test.Calibration.ExpectedError,
                trial.ValidationAccuracy,
                trial.FitTime.TotalSeconds
            );
    }

    public static System.CommandLine.Command Create()
    {
        var verb = new CompareCommand();
        var command = new ExampledCommand(
            "compare",
            "Fits several configurations on the same images with the same options and tests each: accuracy with its 95 % interval, "
                + "mean over classes, log-loss, calibration, time.",
            "dpl compare train.tsv --test test.tsv --clip ViT-B/16 --configuration zero-shot uniform:4 search"
        );
        verb._data.AddTo(command);
        verb._clip.AddTo(command);
        verb._configurations.CompletionSources.Add(ConfigurationArgument.Words);
        command.Options.Add(verb._configurations);
        verb._json.AddTo(command);
        verb._search.AddTo(command);
        verb._training.AddTo(command);
        verb._design.AddTo(command);
        verb._common.AddTo(command);
        verb._progress.AddTo(command);
        command.SetAction((arguments, cancellationToken) => Task.FromResult((int)verb.Run(arguments, cancellationToken)));
        return command;
    }

    private ExitCode Run(ParseResult arguments, CancellationToken cancellationToken)
    {
        ProgressMode mode = _progress.Choose(arguments);
        _design.Check(arguments, _training);
        _clip.Check(arguments);
        ImageSets sets = _data.Read(arguments, cancellationToken, _common.Seed(arguments));
        if (sets.Test.Count == 0)
            throw new ArgumentException("A comparison needs test images: name them with --test, or give data with a test split.");
        OutputFile? file = _json.File(arguments, standard: null, _data.Inputs(arguments));
        // Parse all before fitting the first, so that errors are found early.
        (string Name, Func<ClipBackbone, PromptConfiguration?> LengthsFor)[] chosen =
        [
            .. (arguments.GetValue(_configurations) is { Length: > 0 } given ? given : Standard).Select(text =>
                (text, ConfigurationArgument.Read(text))
            ),
        ];
        ClipBackbone backbone = _clip.Backbone(arguments, cancellationToken);
        ClipBackbone? teacher = _design.Teacher(arguments, cancellationToken);
        DplTrainer.Options OptionsOf(string name, PromptConfiguration? lengths)
        {
            var options = new DplTrainer.Options
            {
                Backbone = backbone,
                Configuration = lengths,
                CancellationToken = cancellationToken,
            };
            _search.Apply(arguments, options);
            _training.Apply(arguments, options);
            _design.Apply(arguments, options, teacher, name);
            _common.Apply(arguments, options);
            _clip.Apply(arguments, options);
            return options;
        }
        PromptConfiguration?[] lengths = [.. chosen.Select(one => one.LengthsFor(backbone))];
        DplTrainer.Options[] planned = [.. chosen.Zip(lengths, (one, given) => OptionsOf(one.Name, given))];
        ImageChecks.RequireTest(sets, planned[0].Images.SkipUnreadable);

        var trials = new Trials(
            sets,
            lengths.Contains(null),
            _data.HasWeights(arguments),
            mode,
            CommandLine.IsVerbose(arguments),
            _common.TensorBoard(arguments)
        );
        foreach (DplTrainer.Options one in planned)
            trials.Check(one);
        var compared = new List<Compared>();
        try
        {
            for (int i = 0; i < chosen.Length; i++)
            {
                compared.Add(Compared.From(trials.Run(chosen[i].Name, OptionsOf(chosen[i].Name, lengths[i]))));
                file?.Write(written => File.WriteAllText(written, JsonSerializer.Serialize(compared, ToolJson.Indented)));
            }
        }
        catch (Exception e)
        {
            // Show the completed configurations, whatever ended the rest.
            if (compared.Count == 0)
                throw;
            Show(arguments, compared, sets.Test.Count);
            string part = $"{compared.Count} of {chosen.Length} configurations were compared";
            if (Failure.CauseOf(e) is OperationCanceledException)
            {
                Terminal.Fail($"Cancelled; {part}.");
                return ExitCode.Cancelled;
            }
            Terminal.Fail($"{part}; then an error occurred:");
            throw;
        }
        Show(arguments, compared, sets.Test.Count);
        trials.Forget();
        return ExitCode.Success;
    }

    private void Show(ParseResult arguments, List<Compared> compared, int images)
    {
        if (_json.IsOutput(arguments))
            Console.Out.WriteLine(JsonSerializer.Serialize(compared, ToolJson.Indented));
        else
            Write(compared, images);
    }

    private static void Write(IReadOnlyList<Compared> compared, int images)
    {
        Terminal.Out.Write(
            new FittingTable()
                .Add("configuration", 0, isNumber: false, compared.Select(row => row.Name))
                .Add("accuracy", 0, isNumber: true, compared.Select(row => EvaluationTables.Percent(row.Accuracy.Accuracy)))
                .Add("95 % interval", 1, isNumber: true, compared.Select(row => EvaluationTables.Interval(row.Accuracy)))
                .Add("class mean", 2, isNumber: true, compared.Select(row => EvaluationTables.Percent(row.MacroAccuracy)))
                .Add("log-loss", 4, isNumber: true, compared.Select(row => FormattableString.Invariant($"{row.LogLoss:f4}")))
                .Add("calibration error", 5, isNumber: true, compared.Select(row => EvaluationTables.Percent(row.CalibrationError)))
                .Add("time", 3, isNumber: true, compared.Select(row => Figures.Time(TimeSpan.FromSeconds(row.Seconds))))
                .Within(Terminal.Out.Profile.Width)
        );
        // Not in the table, since the lengths of a large CLIP would not fit into it.
        foreach (Compared row in compared)
            Terminal.Line($"  {row.Name}: {row.Configuration}");
        Terminal.Line($"{images} test images.");
    }
}
