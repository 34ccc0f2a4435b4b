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
    private const string DataExtension = ".data";

    public static System.CommandLine.Command Create()
    {
        var model = new Argument<string>("model") { Description = "A saved model." };
        var output = new Option<string>("--output", "-o")
        {
            HelpName = "file",
            Description = "Where the ONNX model goes; a file there is replaced once the new one is whole.",
            Required = true,
        };
        var externalData = new Option<bool>("--external-data")
        {
            Description =
                $"Puts the weights into a second file, which is called as the first with {DataExtension} behind it and must stay "
                + "beside it. A model of more than 2 GB is written so in any case.",
        };
        var input = new ChoiceOption<DplOnnxInput>(
            "--input",
            "pixels: float [batch, 3, size, size], any number of images that were resized, cropped and normalised; image: uint8 "
                + "[height, width, 3], one image, which the model prepares itself.",
            DplOnnxInput.Pixels
        );
        ChoiceOption<DplOnnxPrecision> precision = ContentsOption.PrecisionOption("--precision", "");
        var format = new ChoiceOption<ResultFormat>("--format", "table or json: how it is told what was written.", ResultFormat.Table);
        var clip = new ModelOptions(needsClip: false);
        var command = new ExampledCommand(
            "onnx",
            "Writes a model as ONNX, which ONNX Runtime reads without libtorch and CLIP's files.",
            "dpl onnx model.zip --output model.onnx",
            "dpl onnx model.zip --input image --output model.onnx",
            "dpl onnx model.zip --precision int8 --output model.onnx"
        );
        command.Arguments.Add(model);
        foreach (Option option in new Option[] { output, input, precision, externalData, format })
            command.Options.Add(option);
        clip.AddTo(command);
        command.SetAction(
            (arguments, cancellationToken) =>
            {
                string path = arguments.GetRequiredValue(model);
                var mlContext = new MLContext();
                string written = arguments.GetRequiredValue(output);
                bool beside = arguments.GetValue(externalData);
                OutputFile file = OutputFile.Check(written, output.Name, path);
                if (beside)
                    OutputFile.Check(written + DataExtension, output.Name, path);
                clip.Apply(arguments, mlContext, cancellationToken);
                Write(
                    mlContext,
                    path,
                    file,
                    input.Read(arguments),
                    precision.Read(arguments),
                    beside,
                    format.Read(arguments),
                    arguments.InvocationConfiguration.Output,
                    cancellationToken
                );
                return Task.FromResult((int)ExitCode.Success);
            }
        );
        return command;
    }

    private static void Write(
        MLContext mlContext,
        string path,
        OutputFile file,
        DplOnnxInput input,
        DplOnnxPrecision precision,
        bool externalData,
        ResultFormat format,
        TextWriter log,
        CancellationToken cancellationToken
    )
    {
        using SavedModel loaded = SavedModel.Load(mlContext, path);
        DplTransformer transformer = loaded.Transformer;
        bool hasData = false;
        file.Write(temporary =>
        {
            cancellationToken.ThrowIfCancellationRequested();
            // In a folder, so that nothing is left of what the library makes where a second Ctrl-C ends the process.
            Directory.CreateDirectory(temporary);
            string model = Path.Combine(temporary, Path.GetFileName(file.FullPath));
            transformer.SaveAsOnnx(model, input, externalData, precision, cancellationToken);
            hasData = File.Exists(model + DataExtension);
            cancellationToken.ThrowIfCancellationRequested();
        });
        string? dataPath = hasData ? file.FullPath + DataExtension : null;
        long bytes = new FileInfo(file.FullPath).Length;
        long? dataBytes = dataPath is null ? null : new FileInfo(dataPath).Length;
        int size = transformer.Backbone.Config.ImageSize;
        if (format == ResultFormat.Json)
        {
            log.WriteLine(
                JsonSerializer.Serialize(
                    new
                    {
                        path = file.FullPath,
                        bytes,
                        dataPath,
                        dataBytes,
                        input,
                        precision,
                        imageSize = size,
                        transformer.ClassNames,
                        configuration = transformer.Configuration.ToString(),
                        backbone = transformer.Backbone.Name,
                    },
                    ToolJson.Indented
                )
            );
            return;
        }
        log.WriteLine($"Written: {file.FullPath}, {ByteSize.Text(bytes)}");
        if (dataPath is not null)
            log.WriteLine($"Weights, to stay beside it: {dataPath}, {ByteSize.Text(dataBytes!.Value)}");
        log.WriteLine(
            input == DplOnnxInput.Image
                ? "  image          uint8 [height, width, 3]"
                : $"  pixels           float [batch, 3, {size}, {size}]"
        );
        foreach (string name in new[] { "logits", "probabilities" })
            log.WriteLine($"  {name, -16} float [{(input == DplOnnxInput.Image ? "1" : "batch")}, {transformer.ClassNames.Count}]");
        log.WriteLine("Class names and how images are prepared are in its metadata.");
    }
}
