using System.CommandLine;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Options;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary>How the names of the two files of alphas are interpreted.</summary>
internal enum AlphaNames
{
    /// <summary>Swapped, as the authors' code writes them.</summary>
    Authors,

    /// <summary>Each file holds what its name says.</summary>
    Right,
}

/// <summary><c>dpl import</c>: turns alphas into a configuration to train with, or prompts into a model.</summary>
internal static class ImportCommand
{
    public static System.CommandLine.Command Create()
    {
        var alphas = new Option<string[]>("--alphas")
        {
            Description =
                "Alphas: the authors' alpha_e*_img.npy and alpha_e*_txt.npy; or one .safetensors file, or one folder of .npy files, "
                + "with alphas.text and alphas.image.",
            AllowMultipleArgumentsPerToken = true,
            Arity = new ArgumentArity(1, 2),
        };
        var lengths = new Option<int[]>("--lengths")
        {
            Description =
                "Prompt lengths that the alphas choose from. Default: what the file says; else 0 2 4 6 for four, 0 to 6 for seven.",
            AllowMultipleArgumentsPerToken = true,
        };
        var names = new ChoiceOption<AlphaNames>(
            "--names",
            "authors: the file called img holds the text tower, as the authors' code writes it, unless the CLIP's numbers of layers show "
                + "otherwise; right: the files hold what their names say.",
            AlphaNames.Authors
        );
        var epoch = new Option<int?>("--epoch") { Description = "Epoch of the alphas, from 1. Default: the last." };
        var prompts = new Option<string?>("--prompts")
        {
            Description = "Prompts: a .safetensors file or a folder of .npy files, as export writes them.",
        };
        var clip = new Option<string?>("--clip") { Description = BackboneArgument.Description, HelpName = "CLIP" };
        clip.CompletionSources.Add(BackboneArgument.Names);
        var anyClip = new Option<bool>("--any-clip") { Description = "Allows a CLIP with other weights than the prompts were trained on." };
        var classes = new Option<string[]>("--classes")
        {
            Description = "Class names. Default: those in the file.",
            AllowMultipleArgumentsPerToken = true,
        };
        var template = new Option<string?>("--template")
        {
            Description = "The text of a class; {} stands for its name. Default: that in the file, or a photo of a {}.",
        };
        var column = new Option<string>("--image-column")
        {
            Description = "The model's column with the images.",
            DefaultValueFactory = _ => nameof(ImageRow.ImagePath),
        };
        var contents = new ContentsOption(isForAnyMachine: false);
        var output = new Option<string>("--output", "-o")
        {
            HelpName = "file",
            Description = "configuration.json for alphas, model.zip for prompts.",
            Required = true,
        };
        var command = new ExampledCommand(
            "import",
            "Makes a configuration from alphas, or a model from prompts.",
            "dpl import --alphas alpha_e59_img.npy alpha_e59_txt.npy --output configuration.json",
            "dpl import --prompts prompts.safetensors --clip ViT-B/16 --output model.zip"
        );
        foreach (Option option in new Option[] { alphas, lengths, names, epoch, prompts, clip, anyClip, classes, template, column, output })
            command.Options.Add(option);
        contents.AddTo(command);
        command.SetAction(
            (arguments, cancellationToken) =>
            {
                TextWriter log = arguments.InvocationConfiguration.Output;
                string[] alphaPaths = arguments.GetValue(alphas) ?? [];
                string? promptPath = arguments.GetValue(prompts);
                if (alphaPaths.Length > 0 == promptPath is not null)
                    throw new ArgumentException("Give either --alphas or --prompts.");
                if (promptPath is null)
                {
                    string rest = $"is for {prompts.Name}: leave it out with {alphas.Name}.";
                    arguments.RefuseGiven(rest, anyClip, classes, template, column);
                    contents.Refuse(arguments, rest);
                }
                else
                {
                    arguments.RefuseGiven($"is for {alphas.Name}: leave it out with {prompts.Name}.", lengths, names, epoch);
                    contents.Check(arguments);
                }
                var file = OutputFile.Check(
                    arguments.GetRequiredValue(output),
                    output.Name,
                    promptPath is null ? alphaPaths : [promptPath]
                );
                if (promptPath is not null && arguments.GetValue(clip) is null)
                    throw new ArgumentException("Prompts need their CLIP: name it with --clip.");
                ClipBackbone? backbone = arguments.GetValue(clip) is { } named
                    ? BackboneArgument.Resolve(named, cancellationToken: cancellationToken)
                    : null;
                if (promptPath is null)
                {
                    int[] given = arguments.GetValue(lengths) ?? [];
                    return Task.FromResult(
                        ImportAlphas(
                            alphaPaths,
                            given.Length == 0 ? null : given,
                            names.Read(arguments),
                            arguments.GetValue(epoch),
                            backbone,
                            file,
                            log
                        )
                    );
                }
                ExportedPrompts read = ExportedPrompts.Load(promptPath);
                if (arguments.GetValue(classes) is { Length: > 0 } listed)
                    read = read with { ClassNames = listed };
                if (arguments.GetValue(template) is { } text)
                    read = read with { Template = text };
                if (arguments.GetValue(anyClip))
                    read = read with { BackboneSha256 = null };
                return Task.FromResult(
                    ImportPrompts(
                        read,
                        backbone!,
                        arguments.GetRequiredValue(column),
                        (contents.Read(arguments), contents.ReadPrecision(arguments)),
                        file,
                        log,
                        cancellationToken
                    )
                );
            }
        );
        return command;
    }

    private static int ImportAlphas(
        string[] paths,
        int[]? lengths,
        AlphaNames names,
        int? epoch,
        ClipBackbone? backbone,
        OutputFile output,
        TextWriter log
    )
    {
        AlphaHistory history;
        if (paths is [string img, string txt])
        {
            AlphaFiles files = names == AlphaNames.Right ? AlphaFiles.AsNamed(img, txt) : AlphaFiles.FromAuthors(img, txt, backbone);
            log.WriteLine(files.Reason);
            history = AlphaHistory.Load(files.TextPath, files.ImagePath, lengths);
        }
        else
        {
            history = AlphaHistory.Load(paths[0], lengths);
        }
        if (epoch is int one && (one < 1 || one > history.Epochs))
            throw new ArgumentException($"--epoch is {one}, but the alphas have epochs 1 to {history.Epochs}.");
        PromptConfiguration configuration = history.Configuration(epoch - 1);
        if (
            backbone is not null
            && (configuration.Text.Count != backbone.Config.Text.Layers || configuration.Image.Count != backbone.Config.Image.Layers)
        )
            throw new InvalidDataException(
                $"The alphas are for {configuration.Text.Count} text and {configuration.Image.Count} image layers, but "
                    + $"{backbone.Name} has {backbone.Config.Text.Layers} and {backbone.Config.Image.Layers}."
            );
        log.WriteLine(
            $"Candidate lengths {string.Join(' ', history.CandidateLengths)}, epoch {epoch ?? history.Epochs} of {history.Epochs}."
        );
        output.Write(path => File.WriteAllText(path, configuration.ToJson() + "\n"));
        log.WriteLine(configuration.ToString());
        log.WriteLine($"Written: {output.FullPath}");
        return (int)ExitCode.Success;
    }

    private static int ImportPrompts(
        ExportedPrompts prompts,
        ClipBackbone backbone,
        string imageColumn,
        (ModelContents Contents, OnnxPrecision Precision) zip,
        OutputFile output,
        TextWriter log,
        CancellationToken cancellationToken
    )
    {
        var mlContext = new MLContext();
        using DplTransformer transformer = mlContext.DifferentiablePromptModel(prompts, backbone, imageColumn);
        (transformer.Contents, transformer.OnnxPrecision) = zip;
        cancellationToken.ThrowIfCancellationRequested();
        var input = new DataViewSchema.Builder();
        input.AddColumn(imageColumn, Microsoft.ML.Data.TextDataViewType.Instance);
        output.Write(path => mlContext.Model.Save(transformer, input.ToSchema(), path));
        log.WriteLine($"{transformer.ClassNames.Count} classes, {transformer.Configuration}");
        log.WriteLine($"Written: {output.FullPath}");
        return (int)ExitCode.Success;
    }
}
