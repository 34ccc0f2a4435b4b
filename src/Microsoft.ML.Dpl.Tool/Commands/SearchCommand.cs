using System.CommandLine;
using System.Text.Json;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl search</c>: searches prompt lengths without training.</summary>
internal static class SearchCommand
{
    public static System.CommandLine.Command Create()
    {
        var data = new DataOptions(learns: true);
        var clip = new ModelOptions(needsClip: true);
        var search = new SearchOptions(trains: false);
        var design = new DesignOptions(trains: false);
        var common = new CommonOptions();
        var output = new OutputOptions("the configuration", "configuration.json");
        var progress = new ProgressOptions();
        var command = new ExampledCommand(
            "search",
            "Searches how many prompt rows each layer of CLIP gets, and writes the configuration with the alphas that led to it. "
                + "Training is left to dpl train.",
            "dpl search photos --clip ViT-B/16 --output configuration.json",
            "dpl train photos --clip ViT-B/16 --configuration configuration.json"
        );
        data.AddTo(command);
        clip.AddTo(command);
        output.AddTo(command);
        search.AddTo(command);
        design.AddTo(command);
        common.AddTo(command);
        progress.AddTo(command);
        command.SetAction(
            (arguments, cancellationToken) =>
                Task.FromResult((int)Run(arguments, data, clip, search, design, common, output, progress, cancellationToken))
        );
        return command;
    }

    private static ExitCode Run(
        ParseResult arguments,
        DataOptions data,
        ModelOptions clip,
        SearchOptions search,
        DesignOptions design,
        CommonOptions common,
        OutputOptions output,
        ProgressOptions progress,
        CancellationToken cancellationToken
    )
    {
        DateTimeOffset started = DateTimeOffset.Now;
        ProgressMode mode = progress.Choose(arguments);
        design.Check(arguments, training: null);
        clip.Check(arguments);
        ImageSets sets = data.Read(arguments, cancellationToken, common.Seed(arguments));
        OutputFiles files = output.Check(arguments, data.Inputs(arguments));
        var options = new DplTrainer.Options
        {
            Backbone = clip.Backbone(arguments, cancellationToken),
            OnCancel = InterruptionBehavior.ReturnBest,
            OnDivergence = InterruptionBehavior.ReturnBest,
            CancellationToken = cancellationToken,
        };
        search.Apply(arguments, options);
        design.Apply(arguments, options, design.Teacher(arguments, cancellationToken), ConfigurationArgument.Search);
        common.Apply(arguments, options);
        clip.Apply(arguments, options);
        var session = new FitSession(
            options,
            sets,
            data.HasWeights(arguments),
            mode,
            CommandLine.IsVerbose(arguments),
            common.TensorBoard(arguments)
        );
        FitResults results = RunRecord.Create(arguments, options, sets, started);

        SearchOutcome found = session.Search("search");
        bool isInPlace = files.Main.WriteSomewhere(path =>
            File.WriteAllText(
                path,
                JsonSerializer.Serialize(
                    new
                    {
                        found.Configuration.Text,
                        found.Configuration.Image,
                        found.WasCancelled,
                        found.HasDiverged,
                        results.Backbone,
                        Search = found.Report,
                    },
                    ToolJson.Indented
                )
            )
        );
        results = results with
        {
            Search = SearchResults.From(found.Report, options.Search.Margin),
            Configuration = found.Configuration,
            Design = DesignResults.From(options.Design),
            Stages = [.. RunRecord.Stages(session.Epochs)],
            Warnings = session.Warnings,
            WasCancelled = found.WasCancelled,
            HasDiverged = found.HasDiverged,
        };
        isInPlace &= files.Results?.WriteSomewhere(path => File.WriteAllText(path, ResultsJson.Write(results))) ?? true;
        if (files.ResultsAreOutput)
        {
            Console.Out.WriteLine(ResultsJson.Write(results));
        }
        else
        {
            ConfigurationTable.Write(found.Configuration, found.Report);
            if (results.Design is { } made)
                Terminal.Line($"Design: {made.Summary}");
            Terminal.Line($"Configuration: {files.Main.FullPath}");
            if (files.Results is { } written)
                Terminal.Line($"Results: {written.FullPath}");
        }
        if (found.HasDiverged)
        {
            Terminal.Fail("The fit diverged; the configuration is the choice after the last good epoch.");
            return ExitCode.Diverged;
        }
        if (!found.WasCancelled)
        {
            if (!isInPlace)
                return ExitCode.Unexpected;
            session.Forget();
            return ExitCode.Success;
        }
        Terminal.Fail("Cancelled; the configuration is the choice after the last complete epoch.");
        return ExitCode.Cancelled;
    }
}
