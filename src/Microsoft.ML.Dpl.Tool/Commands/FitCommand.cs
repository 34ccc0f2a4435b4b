using System.CommandLine;
using Microsoft.ML.Dpl.Tool.Options;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl fit</c> and <c>dpl train</c>: fit a model to images and save it as a zip, with and without a search.</summary>
internal static class FitCommand
{
    private const string DefaultOutput = "model.zip";

    public static System.CommandLine.Command Create()
    {
        var configuration = new Option<string>("--configuration")
        {
            Description = $"Trains these prompt lengths instead of searching: {ConfigurationArgument.Forms}.",
            HelpName = "lengths",
            DefaultValueFactory = _ => ConfigurationArgument.Search,
        };
        var command = new ExampledCommand(
            "fit",
            "Searches how many prompt rows each layer of CLIP gets, compares that to uniform lengths, trains the best, and saves the "
                + "model as an ML.NET model zip.",
            "dpl fit photos --clip ViT-B/16 --output model.zip",
            "dpl fit train.tsv --test test.tsv --clip clip-vit-base-patch16 --shots 16 --seed 1",
            "dpl fit split_zhou_Caltech101.json --image-root 101_ObjectCategories --shots 16 --clip ViT-B/16 --device cuda"
        );
        return Complete(command, configuration, new SearchOptions(trains: true));
    }

    /// <summary>Creates <c>dpl train</c>, which does not search.</summary>
    public static System.CommandLine.Command CreateTrain()
    {
        var configuration = new Option<string>("--configuration")
        {
            Description = $"The prompt lengths: {ConfigurationArgument.Forms}.",
            HelpName = "lengths",
            Required = true,
        };
        var command = new ExampledCommand(
            "train",
            "Trains prompts of given lengths, such as dpl search found, and saves the model as an ML.NET model zip.",
            "dpl train photos --clip ViT-B/16 --configuration configuration.json",
            "dpl train photos --clip tiny --configuration uniform:4"
        );
        return Complete(command, configuration, search: null);
    }

    private static ExampledCommand Complete(ExampledCommand command, Option<string> configuration, SearchOptions? search)
    {
        var verb = new FitVerb(configuration, search, new OutputOptions("the model", DefaultOutput, hasReport: true));
        verb.AddTo(command);
        command.SetAction((arguments, cancellationToken) => Task.FromResult((int)verb.Run(arguments, cancellationToken)));
        return command;
    }
}
