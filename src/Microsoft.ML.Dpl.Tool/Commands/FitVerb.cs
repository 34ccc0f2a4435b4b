using System.CommandLine;
using System.Diagnostics;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;
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

    public void AddTo(System.CommandLine.Command command)
    {
        _data.AddTo(command);
        _clip.AddTo(command);
        output.AddTo(command);
        _contents.AddTo(command);
        command.Options.Add(configuration);
        search?.AddTo(command);
        _training.AddTo(command);
        _common.AddTo(command);
        foreach (Option option in _progress.All) command.Options.Add(option);
    }

    public ExitCode Run(ParseResult arguments, CancellationToken cancellation)
    {
        DateTimeOffset started = DateTimeOffset.Now;
        ClipBackbone backbone = _clip.Backbone(arguments);
        var options = new DplTrainer.Options
        {
            Backbone = backbone,
            Configuration = ConfigurationArgument.Parse(arguments.GetRequiredValue(configuration), backbone),
            ModelContents = _contents.Of(arguments),
            OnCancel = DplCancellation.ReturnBest,
            CancellationToken = cancellation,
        };
        if (search is null && options.Configuration is null) throw new ArgumentException("dpl train does not search: name a configuration, or use dpl fit.");
        search?.Apply(arguments, options);
        _training.Apply(arguments, options);
        _common.Apply(arguments, options);
        _clip.Apply(arguments, options);
        OutputFiles files = output.Check(arguments);
        PictureSets sets = _data.Read(arguments, _common.Seed(arguments));
        var session = new FitSession(options, sets, _data.HasWeights(arguments), _progress.Mode(arguments), CommandLine.IsVerbose(arguments));
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

        ConfigurationTable.Write(transformer.Configuration, transformer.Search);
        if (transformer.ValidationAccuracy is double accuracy) Console.Out.WriteLine($"Validation accuracy: {EvaluationTables.Percent(accuracy)}");
        if (results.Test is { } test) Console.Out.WriteLine($"Test accuracy: {EvaluationTables.Percent(test.Accuracy.Accuracy)} ({EvaluationTables.Interval(test.Accuracy)}), mean over classes {EvaluationTables.Percent(test.MacroAccuracy)}, of {test.Predictions.Count} pictures");
        Console.Out.WriteLine($"Model: {files.Main.FullPath}");
        if (files.Results is { } written) Console.Out.WriteLine($"Results: {written.FullPath}");
        if (!transformer.WasCancelled && !untested) return ExitCode.Success;
        Terminal.Fail(untested ? "Cancelled in the test; the model is whole." : "Cancelled; the model is the best there was by then.");
        return ExitCode.Cancelled;
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
