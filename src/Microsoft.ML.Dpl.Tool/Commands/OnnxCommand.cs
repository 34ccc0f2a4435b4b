using System.CommandLine;
using System.Text.Json;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl onnx</c>: a model as ONNX, for programs that have ONNX Runtime and no libtorch.</summary>
internal static class OnnxCommand
{
    public static System.CommandLine.Command Create()
    {
        var model = new Argument<string>("model") { Description = "A saved model." };
        var output = new Option<string>("--output", "-o") { HelpName = "file", Description = "Where the ONNX model goes; a file there is replaced once the new one is whole.", Required = true };
        var input = new ChoiceOption<DplOnnxInput>(
            "--input", "pixels: float [batch, 3, size, size], any number of pictures that were resized, cropped and normalised; picture: uint8 [height, width, 3], one picture, which the model prepares itself.", DplOnnxInput.Pixels);
        var format = new ChoiceOption<ResultFormat>("--format", "table or json: how it is told what was written.", ResultFormat.Table);
        var clip = new ModelOptions(needsClip: false);
        var command = new ExampledCommand(
            "onnx", "Writes a model as ONNX, which ONNX Runtime reads without libtorch and CLIP's files.", "dpl onnx model.zip --output model.onnx", "dpl onnx model.zip --input picture --output model.onnx");
        command.Arguments.Add(model);
        foreach (Option option in new Option[] { output, input, format }) command.Options.Add(option);
        clip.AddTo(command);
        command.SetAction((arguments, cancellation) =>
        {
            string path = arguments.GetRequiredValue(model);
            var mlContext = new MLContext();
            OutputFile file = OutputFile.Check(arguments.GetRequiredValue(output), output.Name, path);
            clip.Apply(arguments, mlContext, cancellation);
            Write(mlContext, path, file, input.Of(arguments), format.Of(arguments), arguments.InvocationConfiguration.Output, cancellation);
            return Task.FromResult((int)ExitCode.Success);
        });
        return command;
    }

    private static void Write(MLContext mlContext, string path, OutputFile file, DplOnnxInput input, ResultFormat format, TextWriter log, CancellationToken cancellation)
    {
        using SavedModel loaded = SavedModel.Load(mlContext, path);
        DplTransformer transformer = loaded.Transformer;
        file.Write(temporary =>
        {
            cancellation.ThrowIfCancellationRequested();
            // Straight into that file, so that nothing beside it is left where a second Ctrl-C ends the process.
            using (FileStream stream = File.Create(temporary)) transformer.SaveAsOnnx(stream, input);
            cancellation.ThrowIfCancellationRequested();
        });
        long bytes = new FileInfo(file.FullPath).Length;
        int size = transformer.Backbone.Config.ImageSize;
        if (format == ResultFormat.Json)
        {
            log.WriteLine(JsonSerializer.Serialize(
                new { path = file.FullPath, bytes, input, imageSize = size, transformer.ClassNames, configuration = transformer.Configuration.ToString(), backbone = transformer.Backbone.Name }, ToolJson.Indented));
            return;
        }
        log.WriteLine($"Written: {file.FullPath}, {ByteSize.Text(bytes)}");
        log.WriteLine(input == DplOnnxInput.Picture ? "  picture          uint8 [height, width, 3]" : $"  pixels           float [batch, 3, {size}, {size}]");
        foreach (string name in new[] { "logits", "probabilities" }) log.WriteLine($"  {name,-16} float [{(input == DplOnnxInput.Picture ? "1" : "batch")}, {transformer.ClassNames.Count}]");
        log.WriteLine("Class names and how pictures are prepared are in its metadata.");
    }
}
