using System.CommandLine;
using System.Globalization;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary>File formats of the exported prompts.</summary>
internal enum ArrayFormat
{
    Npy,
    Safetensors,
}

/// <summary><c>dpl export</c>: writes a model's prompts, class features and alphas as arrays that Python can read.</summary>
internal static class ExportCommand
{
    private const string SafetensorsExtension = ".safetensors";

    public static System.CommandLine.Command Create()
    {
        var model = new Argument<string>("model") { Description = "A saved model." };
        var output = new Option<string>("--output", "-o")
        {
            HelpName = "file|folder",
            Description = "A file that ends in .safetensors, or a folder for .npy files, empty or not yet there.",
            Required = true,
        };
        var format = new ChoiceOption<ArrayFormat>(
            "--format",
            "npy or safetensors. Default: safetensors where --output ends in .safetensors, else npy.",
            standard: null
        );
        var clip = new ModelOptions(needsClip: false);
        var command = new ExampledCommand(
            "export",
            "Writes a model's prompts, class features and alphas as .npy or safetensors.",
            "dpl export model.zip --output prompts.safetensors",
            "dpl export model.zip --format npy --output prompts"
        );
        command.Arguments.Add(model);
        foreach (Option option in new Option[] { output, format })
            command.Options.Add(option);
        clip.AddTo(command);
        command.SetAction(
            (arguments, cancellationToken) =>
                Task.FromResult(
                    Run(
                        arguments,
                        arguments.GetRequiredValue(model),
                        arguments.GetRequiredValue(output),
                        format.Find(arguments),
                        clip,
                        arguments.InvocationConfiguration.Output,
                        cancellationToken
                    )
                )
        );
        return command;
    }

    private static int Run(
        ParseResult arguments,
        string model,
        string output,
        ArrayFormat? format,
        ModelOptions clip,
        TextWriter log,
        CancellationToken cancellationToken
    )
    {
        bool isFile = output.EndsWith(SafetensorsExtension, StringComparison.OrdinalIgnoreCase);
        if (format is not null && isFile != (format == ArrayFormat.Safetensors))
            throw new ArgumentException(
                isFile
                    ? "--format npy writes a folder: name one with --output."
                    : $"--format safetensors writes one file: --output must end in {SafetensorsExtension}."
            );
        // Checked before the slow loading of the model, so that the error comes at once.
        if (!isFile && Directory.Exists(output) && Directory.EnumerateFileSystemEntries(output).Any())
            throw new IOException($"The folder '{output}' is not empty. Name another with --output, or remove what is in it.");
        var mlContext = new MLContext();
        clip.Apply(arguments, mlContext, cancellationToken);
        using SavedModel loaded = SavedModel.Load(mlContext, model);
        cancellationToken.ThrowIfCancellationRequested();
        ExportedPrompts prompts = loaded.Transformer.ExportPrompts();
        cancellationToken.ThrowIfCancellationRequested();
        OutputFile.Undisturbed(() => prompts.Save(output));
        log.WriteLine($"Written: {Path.GetFullPath(output)}");
        Describe(prompts, log);
        return (int)ExitCode.Success;
    }

    private static void Describe(ExportedPrompts prompts, TextWriter log)
    {
        log.WriteLine(prompts.Configuration.ToString());
        foreach (
            var (branch, layers, weights) in new[]
            {
                ("text", prompts.Text, prompts.Mixture?.TextWeights),
                ("image", prompts.Image, prompts.Mixture?.ImageWeights),
            }
        )
        {
            for (int layer = 0; layer < layers.Count; layer++)
                if (layers[layer] is { } rows)
                    Line(weights is null ? $"{branch}.{layer}" : $"{branch}_mixture.{layer}", rows);
            for (int layer = 0; layer < weights?.Count; layer++)
                Line($"{branch}_weights.{layer}", weights[layer].ToArray());
        }
        if (prompts.Context is { } context)
            Line("context", context);
        if (prompts.TaskResidual is { } residual)
            Line("task_residual", residual);
        if (prompts.ClassFeatures is { } features)
            Line("class_features", features);
        if (prompts.Alphas is not { } alphas)
            return;
        Line("alphas.text", alphas.ToTextArray());
        Line("alphas.image", alphas.ToImageArray());

        void Line(string name, Array array) =>
            log.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"  {name.PadRight(16)} [{string.Join(", ", Enumerable.Range(0, array.Rank).Select(array.GetLength))}]"
                )
            );
    }
}
