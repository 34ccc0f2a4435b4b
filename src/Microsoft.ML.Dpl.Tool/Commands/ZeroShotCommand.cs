using System.CommandLine;
using System.Text.Json;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl zeroshot</c>: evaluates zero-shot CLIP, which knows only the class names.</summary>
internal static class ZeroShotCommand
{
    public static System.CommandLine.Command Create()
    {
        var data = new DataOptions(learns: false);
        var clip = new ModelOptions(needsClip: true);
        var template = new Option<string>("--template")
        {
            Description = "Text of a class; {} stands for its name.",
            HelpName = "text",
            DefaultValueFactory = _ => new DplTrainer.Options().Template,
        };
        var templates = new TemplatesOption("Several texts of a class, whose features are averaged, instead of --template.");
        var format = new ChoiceOption<ResultFormat>("--format", "table, or json with every prediction.", ResultFormat.Table);
        var progress = new ProgressOptions();
        var skip = new Option<bool>("--skip-unreadable")
        {
            Description = "Leaves out images that cannot be read, instead of stopping at the first; the exit code then says so.",
        };
        var command = new ExampledCommand(
            "zeroshot",
            "Measures zero-shot CLIP: the classes' names in a template, without any training, on the images of the test split where "
                + "the data has one, else on all.",
            "dpl zeroshot photos --clip clip-vit-base-patch16",
            "dpl zeroshot flowers --clip tiny --template \"a photo of a {}, a type of flower.\"",
            "dpl zeroshot photos --clip ViT-B/16 --templates imagenet-80"
        );
        data.AddTo(command);
        clip.AddTo(command);
        foreach (Option option in new Option[] { template, templates, format, skip })
            command.Options.Add(option);
        progress.AddTo(command);
        command.SetAction(
            (arguments, cancellationToken) =>
            {
                IReadOnlyList<string>? several = templates.Read(arguments);
                if (several is not null && arguments.IsGiven(template))
                    throw new ArgumentException(
                        "Give either --template or --templates: plain CLIP reads one text of a class, or the mean."
                    );
                return Task.FromResult(
                    (int)Run(
                        arguments,
                        data,
                        clip,
                        arguments.GetRequiredValue(template),
                        several,
                        format.Read(arguments),
                        arguments.GetValue(skip),
                        progress.Choose(arguments),
                        cancellationToken
                    )
                );
            }
        );
        return command;
    }

    private static ExitCode Run(
        ParseResult arguments,
        DataOptions data,
        ModelOptions clip,
        string template,
        IReadOnlyList<string>? templates,
        ResultFormat format,
        bool skip,
        ProgressMode mode,
        CancellationToken cancellationToken
    )
    {
        clip.Check(arguments);
        ImageSets sets = data.Read(arguments, cancellationToken);
        ImageChecks.RequireFiles(sets.ToEvaluate, "images", skip);
        ClipBackbone backbone = clip.Backbone(arguments, cancellationToken);
        var options = new DplTrainer.Options
        {
            Backbone = backbone,
            Configuration = PromptConfiguration.ZeroShot(backbone),
            Template = template,
            Design = { Templates = templates },
            CancellationToken = cancellationToken,
        };
        clip.Apply(arguments, options);
        // Nothing is learnt: the training images only provide the class names.
        var session = new FitSession(
            options,
            sets with
            {
                Train = [.. sets.All],
                Validation = [],
            },
            hasWeights: false,
            ProgressMode.None,
            CommandLine.IsVerbose(arguments)
        );
        using DplTransformer transformer = session.Fit("zero-shot CLIP");
        (TestResults figures, int skipped) = Evaluator.Evaluate(
            session.MLContext,
            transformer,
            sets.ToEvaluate,
            skip,
            mode,
            "zero-shot CLIP",
            cancellationToken
        );
        if (format == ResultFormat.Json)
            Console.Out.WriteLine(JsonSerializer.Serialize(figures, ToolJson.Indented));
        else
            EvaluationTables.Write(figures);
        if (skipped == 0)
            return ExitCode.Success;
        Terminal.Fail($"{skipped} images could not be read; the figures cover the others.");
        return ExitCode.PartlyFailed;
    }
}
