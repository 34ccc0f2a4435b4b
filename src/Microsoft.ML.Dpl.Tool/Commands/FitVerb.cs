using System.CommandLine;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Report;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary>The implementation of <c>dpl fit</c> and <c>dpl train</c>.</summary>
/// <param name="configuration">Prompt lengths, or the keyword for a search.</param>
/// <param name="search">The search's options; null if the command does not search.</param>
/// <param name="output">The options for the output files.</param>
internal sealed class FitVerb(Option<string> configuration, SearchOptions? search, OutputOptions output)
{
    private const string Nothing = "none";

    private readonly DataOptions _data = new(learns: true);
    private readonly ModelOptions _clip = new(needsClip: true);
    private readonly CommonOptions _common = new();
    private readonly TrainingOptions _training = new();
    private readonly DesignOptions _design = new(trains: true);
    private readonly ContentsOption _contents = new(isForAnyMachine: true);
    private readonly ProgressOptions _progress = new();
    private readonly Option<string[]> _baselines = new("--baseline")
    {
        Description =
            "What the test accuracy is compared with in results and report, one or several: zero-shot, which only needs the test images; "
            + "lengths as for --configuration, which are trained with the same options; none: nothing. Default: zero-shot.",
        HelpName = "lengths|none",
        AllowMultipleArgumentsPerToken = true,
    };

    public void AddTo(System.CommandLine.Command command)
    {
        _data.AddTo(command);
        _clip.AddTo(command);
        output.AddTo(command);
        _contents.AddTo(command);
        configuration.CompletionSources.Add([
            .. ConfigurationArgument.Words.Where(word => search is not null || word != ConfigurationArgument.Search),
        ]);
        _baselines.CompletionSources.Add([Nothing, .. ConfigurationArgument.Words.Where(word => word != ConfigurationArgument.Search)]);
        command.Options.Add(configuration);
        command.Options.Add(_baselines);
        search?.AddTo(command);
        _training.AddTo(command);
        _design.AddTo(command);
        _common.AddTo(command);
        _progress.AddTo(command);
    }

    /// <summary>Runs the command. All input is validated before the fit, the slowest last: device, images and output files, then CLIP,
    /// which may have to be downloaded.</summary>
    public ExitCode Run(ParseResult arguments, CancellationToken cancellationToken)
    {
        DateTimeOffset started = DateTimeOffset.Now;
        ProgressMode mode = _progress.Choose(arguments);
        string asked = arguments.GetRequiredValue(configuration);
        _design.Check(arguments, _training, asked);
        _contents.Check(arguments);
        _clip.Check(arguments);
        ImageSets sets = _data.Read(arguments, cancellationToken, _common.Seed(arguments));
        OutputFiles files = output.Check(arguments, [.. _data.Inputs(arguments), asked]);
        Func<ClipBackbone, PromptConfiguration?> lengthsFor = ConfigurationArgument.Read(asked);
        (string Name, Func<ClipBackbone, PromptConfiguration?> LengthsFor)[] others =
        [
            .. (arguments.GetValue(_baselines) is { Length: > 0 } given ? given : [ConfigurationArgument.ZeroShot])
                .Where(name => name != Nothing)
                .Select(name => (name, ConfigurationArgument.Read(name))),
        ];
        if (others.Any(other => other.Name == ConfigurationArgument.Search))
            throw new ArgumentException("A baseline cannot be a search: dpl compare compares searches, too.");
        if (search is null && asked == ConfigurationArgument.Search)
            throw new ArgumentException("dpl train does not search: name a configuration, or use dpl fit.");
        if (sets.Test.Count == 0 && others.Length > 0 && arguments.GetResult(_baselines) is not null)
            throw new ArgumentException(
                "--baseline compares on test images, and there are none: name some with --test, or leave --baseline out."
            );
        ClipBackbone backbone = _clip.Backbone(arguments, cancellationToken);
        ClipBackbone? teacher = _design.Teacher(arguments, cancellationToken);
        DplTrainer.Options OptionsOf(string name, PromptConfiguration? lengths)
        {
            var made = new DplTrainer.Options
            {
                Backbone = backbone,
                Configuration = lengths,
                CancellationToken = cancellationToken,
            };
            search?.Apply(arguments, made);
            _training.Apply(arguments, made);
            _design.Apply(arguments, made, teacher, name);
            _common.Apply(arguments, made);
            _clip.Apply(arguments, made);
            return made;
        }
        DplTrainer.Options options = OptionsOf(asked, lengthsFor(backbone));
        options.OnnxPrecision = _contents.ReadPrecision(arguments);
        (options.ModelContents, options.OnCancel, options.OnDivergence) = (
            _contents.Read(arguments),
            InterruptionBehavior.ReturnBest,
            InterruptionBehavior.ReturnBest
        );
        (string Name, PromptConfiguration Lengths)[] baselines = [.. others.Select(other => (other.Name, other.LengthsFor(backbone)!))];
        ImageChecks.RequireTest(sets, options.Images.SkipUnreadable);
        var trials = new Trials(
            sets,
            options.Configuration is null,
            _data.HasWeights(arguments),
            mode,
            CommandLine.IsVerbose(arguments),
            _common.TensorBoard(arguments)
        );
        foreach (var (name, lengths) in baselines)
            trials.Check(OptionsOf(name, lengths));
        var session = new FitSession(
            options,
            sets,
            _data.HasWeights(arguments),
            mode,
            CommandLine.IsVerbose(arguments),
            _common.TensorBoard(arguments)
        );
        FitResults results = RunRecord.Create(arguments, options, sets, started);

        using DplTransformer transformer = session.Fit(arguments.CommandResult.Command.Name);
        // Saved immediately, before anything else can fail.
        string? digest = null;
        bool isInPlace = files.Main.WriteSomewhere(path =>
        {
            session.MLContext.Model.Save(transformer, session.Train.Schema, path);
            digest = SavedModel.Digest(path);
        });
        results = results with
        {
            Search = transformer.SearchReport is { } report ? SearchResults.From(report, options.Search.Margin) : null,
            Finalists = FinalistResults.From(transformer.Finalists),
            FinalistEpochs = RunRecord.FinalistEpochs(session.Epochs),
            Training = RunRecord.Training(session.Epochs, transformer.ValidationAccuracy),
            Configuration = transformer.Configuration,
            Design = DesignResults.From(transformer),
            Stages = [.. RunRecord.Stages(session.Epochs)],
            ModelPath = files.Main.FullPath,
            ModelSha256 = digest,
            WasCancelled = transformer.WasCancelled,
            HasDiverged = transformer.HasDiverged,
        };
        // Tests and baselines may also warn.
        FitResults Warned(FitResults now) => now with { Warnings = [.. session.Warnings, .. trials.Warnings] };
        // Keeps the epochs of the fit even if a test fails.
        void Keep(FitResults now) =>
            isInPlace &= files.Results?.WriteSomewhere(path => File.WriteAllText(path, ResultsJson.Write(Warned(now)))) ?? true;
        Keep(results);
        var tests = new TestStage(sets, trials, mode, cancellationToken);
        if (sets.Test.Count > 0)
            results = tests.Run(results, session.MLContext, transformer, options.Images.SkipUnreadable, baselines, OptionsOf, Keep);
        results = Warned(results);
        try
        {
            files.Report?.Write(path => ReportPage.Write(results, path, transformer));
        }
        catch (IOException e)
        {
            Terminal.Fail($"{e.Message} dpl report draws the page again from the results.");
            (isInPlace, files) = (false, files with { Report = null });
        }

        if (files.ResultsAreOutput)
            Console.Out.WriteLine(ResultsJson.Write(results));
        else
            FitSummary.Write(results, transformer, files);
        tests.Failure?.Throw();
        if (transformer.HasDiverged)
        {
            Terminal.Fail("The fit diverged; the model is the best there was before.");
            return ExitCode.Diverged;
        }
        if (transformer.WasCancelled || tests.WasCancelled)
        {
            Terminal.Fail(
                transformer.WasCancelled
                    ? "Cancelled; the model is the best one so far."
                    : "Cancelled during the test; the model is complete."
            );
            return ExitCode.Cancelled;
        }
        if (!isInPlace)
            return ExitCode.Unexpected;
        // Only now, so that after an interruption during a baseline the same command takes the fitted model from the workspace.
        session.Forget();
        trials.Forget();
        return ExitCode.Success;
    }
}
