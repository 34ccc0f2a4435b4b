using System.CommandLine;
using System.Diagnostics;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Report;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary>What <c>dpl fit</c> and <c>dpl train</c> do.</summary>
/// <param name="configuration">Context lengths, or the word for a search.</param>
/// <param name="search">Null where there is no search.</param>
/// <param name="output">Where the files go.</param>
internal sealed class FitVerb(Option<string> configuration, SearchOptions? search, OutputOptions output)
{
    private readonly DataOptions _data = new(learns: true);
    private readonly ModelOptions _clip = new(needsClip: true);
    private readonly CommonOptions _common = new();
    private readonly TrainingOptions _training = new();
    private readonly ContentsOption _contents = new();
    private readonly ProgressOptions _progress = new();
    private readonly Option<string[]> _baselines = new("--baseline")
    {
        Description = "What the test accuracy is compared with in results and report, once for each: zero-shot, which only looks at the test pictures, or lengths as for --configuration, which are trained with the same options. Default: zero-shot; none: nothing.",
        DefaultValueFactory = _ => [ZeroShot],
    };

    private const string ZeroShot = "zero-shot", Nothing = "none";

    public void AddTo(System.CommandLine.Command command)
    {
        _data.AddTo(command);
        _clip.AddTo(command);
        output.AddTo(command);
        _contents.AddTo(command);
        command.Options.Add(configuration);
        command.Options.Add(_baselines);
        search?.AddTo(command);
        _training.AddTo(command);
        _common.AddTo(command);
        foreach (Option option in _progress.All) command.Options.Add(option);
    }

    public ExitCode Run(ParseResult arguments, CancellationToken cancellation)
    {
        DateTimeOffset started = DateTimeOffset.Now;
        ClipBackbone backbone = _clip.Backbone(arguments);
        DplTrainer.Options OptionsOf(PromptConfiguration? lengths)
        {
            var made = new DplTrainer.Options { Backbone = backbone, Configuration = lengths, CancellationToken = cancellation };
            search?.Apply(arguments, made);
            _training.Apply(arguments, made);
            _common.Apply(arguments, made);
            _clip.Apply(arguments, made);
            return made;
        }
        DplTrainer.Options options = OptionsOf(ConfigurationArgument.Parse(arguments.GetRequiredValue(configuration), backbone));
        (options.ModelContents, options.OnCancel) = (_contents.Of(arguments), DplCancellation.ReturnBest);
        if (search is null && options.Configuration is null) throw new ArgumentException("dpl train does not search: name a configuration, or use dpl fit.");
        // Read before the fit, like everything that can be wrong.
        (string Name, PromptConfiguration Lengths)[] baselines = [.. arguments.GetRequiredValue(_baselines).Where(name => name != Nothing).Select(name =>
            (name, ConfigurationArgument.Parse(name, backbone) ?? throw new ArgumentException("A baseline is not searched: dpl compare compares searches, too.")))];
        OutputFiles files = output.Check(arguments);
        PictureSets sets = _data.Read(arguments, _common.Seed(arguments));
        var session = new FitSession(options, sets, _data.HasWeights(arguments), _progress.Mode(arguments), CommandLine.IsVerbose(arguments), _common.TensorBoard(arguments));
        FitResults results = RunRecord.Of(arguments, options, sets, started);

        using DplTransformer transformer = session.Fit("fit");
        // Saved before anything else can go wrong.
        files.Main.Write(path => session.MLContext.Model.Save(transformer, session.Train.Schema, path));
        results = results with
        {
            Search = transformer.Search is { } report ? SearchResults.Of(report, options.SearchMargin) : null,
            Training = RunRecord.Training(session.Epochs, transformer.ValidationAccuracy),
            Configuration = transformer.Configuration,
            Stages = [.. RunRecord.Stages(session.Epochs)],
            ModelPath = files.Main.FullPath,
            WasCancelled = transformer.WasCancelled,
        };
        bool untested = false;
        if (sets.Test.Count > 0 && !cancellation.IsCancellationRequested) results = Tested(results, session.MLContext, transformer, sets.Test, options.SkipUnreadableImages, cancellation, out untested);
        files.Results?.Write(path => File.WriteAllText(path, ResultsJson.Write(results)));
        if (results.Test is not null && baselines.Length > 0)
        {
            results = results with { Comparison = Compared(baselines, OptionsOf, options, results.Test.Predictions, sets, arguments, cancellation) };
            untested |= results.Comparison.Count < baselines.Length;
            files.Results?.Write(path => File.WriteAllText(path, ResultsJson.Write(results)));
        }
        files.Report?.Write(path => ReportPage.Write(results, path, transformer));

        ConfigurationTable.Write(transformer.Configuration, transformer.Search);
        if (transformer.ValidationAccuracy is double accuracy) Console.Out.WriteLine($"Validation accuracy: {EvaluationTables.Percent(accuracy)}");
        if (results.Test is { } test) Console.Out.WriteLine($"Test accuracy: {EvaluationTables.Percent(test.Accuracy.Accuracy)} ({EvaluationTables.Interval(test.Accuracy)}), mean over classes {EvaluationTables.Percent(test.MacroAccuracy)}, of {test.Predictions.Count} pictures");
        foreach (ComparisonRow row in results.Comparison) Console.Out.WriteLine($"  {row.Name}: {EvaluationTables.Percent(row.Accuracy.Accuracy)} ({EvaluationTables.Interval(row.Accuracy)})");
        Console.Out.WriteLine($"Model: {files.Main.FullPath}");
        if (files.Results is { } written) Console.Out.WriteLine($"Results: {written.FullPath}");
        if (files.Report is { } page) Console.Out.WriteLine($"Report: {page.FullPath}");
        if (!transformer.WasCancelled && !untested) return ExitCode.Success;
        Terminal.Fail(untested ? "Cancelled in the test; the model is whole." : "Cancelled; the model is the best there was by then.");
        return ExitCode.Cancelled;
    }

    /// <summary>Baselines on the same test pictures; those that a cancelled run did not come to are left out.</summary>
    private List<ComparisonRow> Compared(
        (string Name, PromptConfiguration Lengths)[] baselines, Func<PromptConfiguration?, DplTrainer.Options> optionsOf, DplTrainer.Options fitted, IReadOnlyList<TestPrediction> predictions,
        PictureSets sets, ParseResult arguments, CancellationToken cancellation)
    {
        var rows = new List<ComparisonRow>();
        foreach (var (name, lengths) in baselines)
        {
            DplTrainer.Options options = optionsOf(lengths);
            // A search sets pictures aside: what it is compared with must not train on them either.
            if (fitted.Configuration is null && fitted.ValidationSet is null && options.ValidationFraction is null && !lengths.IsZeroShot)
                options.ValidationRowsPerClass ??= DplTrainer.Options.DefaultValidationRowsPerClass;
            // The fit's own workspace holds no second fit.
            if (options.WorkspacePath is { } workspace) options.WorkspacePath = Path.Combine(workspace, $"baseline-{rows.Count + 1}");
            long began = Stopwatch.GetTimestamp();
            try
            {
                var session = new FitSession(options, sets, _data.HasWeights(arguments), _progress.Mode(arguments), CommandLine.IsVerbose(arguments), _common.TensorBoard(arguments));
                using DplTransformer transformer = session.Fit(name);
                (TestResults test, _) = Evaluator.Evaluate(session.MLContext, transformer, sets.Test, options.SkipUnreadableImages, cancellation);
                rows.Add(new ComparisonRow(
                    name, test.Accuracy, test.MacroAccuracy, transformer.Configuration, PairedDifference.Of(predictions, test.Predictions), Stopwatch.GetElapsedTime(began).TotalSeconds));
            }
            catch (OperationCanceledException)
            {
                break;
            }
        }
        return rows;
    }

    private static FitResults Tested(
        FitResults results, MLContext mlContext, DplTransformer transformer, IReadOnlyList<PictureRow> rows, bool skipUnreadable, CancellationToken cancellation, out bool cancelled)
    {
        cancelled = false;
        long began = Stopwatch.GetTimestamp();
        try
        {
            (TestResults figures, _) = Evaluator.Evaluate(mlContext, transformer, rows, skipUnreadable, cancellation);
            return results with { Test = figures, Stages = [.. results.Stages, new StageCost("Test", Stopwatch.GetElapsedTime(began).TotalSeconds, RunRecord.Peak())] };
        }
        catch (OperationCanceledException)
        {
            cancelled = true;
            return results;
        }
    }
}
