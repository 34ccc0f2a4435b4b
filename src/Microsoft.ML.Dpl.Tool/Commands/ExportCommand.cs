using System.CommandLine;
using System.Globalization;
using Microsoft.ML.Dpl.Tool.Models;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary>What the prompts are written as.</summary>
internal enum ArrayFormat
{
    Npy,
    Safetensors,
}

/// <summary><c>dpl export</c>: a model's prompts, class features and alphas as arrays that Python reads.</summary>
internal static class ExportCommand
{
    private const string SafetensorsExtension = ".safetensors";

    public static System.CommandLine.Command Create()
    {
        var model = new Argument<FileInfo>("model") { Description = "A saved model." }.AcceptExistingOnly();
        var output = new Option<string>("--output") { Description = "A file that ends in .safetensors, or a folder for .npy files, empty or not yet there.", Required = true };
        var format = new Option<ArrayFormat?>("--format") { Description = "npy or safetensors. Default: safetensors where --output ends in .safetensors, else npy." };
        var clip = new Option<string?>("--clip") { Description = $"{BackboneArgument.Description} Default: where the model finds it by itself." };
        var command = new ExampledCommand("export", "Writes a model's prompts, class features and alphas as .npy or safetensors.", "dpl export model.zip --output prompts.safetensors", "dpl export model.zip --format npy --output prompts");
        command.Arguments.Add(model);
        foreach (Option option in new Option[] { output, format, clip }) command.Options.Add(option);
        command.SetAction(arguments => Run(
            arguments.GetRequiredValue(model), arguments.GetRequiredValue(output), arguments.GetValue(format), arguments.GetValue(clip), arguments.InvocationConfiguration.Output));
        return command;
    }

    private static int Run(FileInfo model, string output, ArrayFormat? format, string? clip, TextWriter log)
    {
        bool isFile = output.EndsWith(SafetensorsExtension, StringComparison.OrdinalIgnoreCase);
        if (format is not null && isFile != (format == ArrayFormat.Safetensors))
            throw new ArgumentException(isFile ? "--format npy writes a folder: name one with --output." : $"--format safetensors writes one file: --output must end in {SafetensorsExtension}.");
        // Before the model is read: what is in the way is known at once.
        if (!isFile && Directory.Exists(output) && Directory.EnumerateFileSystemEntries(output).Any()) throw new IOException($"The folder '{output}' is not empty. Name another with --output, or remove what is in it.");
        var mlContext = new MLContext();
        if (clip is not null) mlContext.UseClipBackbone(BackboneArgument.Resolve(clip));
        using SavedModel loaded = SavedModel.Load(mlContext, model.FullName);
        DplPrompts prompts = loaded.Transformer.ExportPrompts();
        prompts.Save(output);
        log.WriteLine($"Written: {Path.GetFullPath(output)}");
        Describe(prompts, log);
        return (int)ExitCode.Success;
    }

    private static void Describe(DplPrompts prompts, TextWriter log)
    {
        log.WriteLine(prompts.Configuration.ToString());
        foreach (var (branch, layers) in new[] { ("text", prompts.Text), ("image", prompts.Image) })
        {
            for (int layer = 0; layer < layers.Count; layer++)
                if (layers[layer] is { } rows) Line($"{branch}.{layer}", rows);
        }
        if (prompts.ClassFeatures is { } features) Line("class_features", features);
        if (prompts.Alphas is not { } alphas) return;
        Line("alphas.text", alphas.ToTextArray());
        Line("alphas.image", alphas.ToImageArray());

        void Line(string name, Array array)
            => log.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {name,-16} [{string.Join(", ", Enumerable.Range(0, array.Rank).Select(array.GetLength))}]"));
    }
}
