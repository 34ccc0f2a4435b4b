using System.CommandLine;
using System.Text.Json;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl onnx</c>: saves a model, or one of the towers of plain CLIP, as ONNX for programs that have ONNX Runtime but not
/// libtorch.</summary>
internal static class OnnxCommand
{
    private const string DataExtension = ".data";

    public static System.CommandLine.Command Create()
    {
        var model = new Argument<string?>("model")
        {
            Description = "A saved model. Without one, a tower of the CLIP that --clip names.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var output = new Option<string>("--output", "-o")
        {
            HelpName = "file",
            Description = "File for the ONNX model; an existing one is replaced once the new one is complete.",
            Required = true,
        };
        var externalData = new Option<bool>("--external-data")
        {
            Description =
                $"Puts the weights into a second file, which is named like the first with {DataExtension} appended and must stay beside "
                + "it. A model of more than 2 GB is always written this way.",
        };
        var input = new ChoiceOption<OnnxInput>(
            "--input",
            "pixels: float [batch, 3, size, size], any number of images that were resized, cropped and normalised; image: uint8 "
                + "[height, width, 3], one image, which the model prepares itself.",
            OnnxInput.Pixels
        );
        var tower = new ChoiceOption<Tower>(
            "--tower",
            "Tower of plain CLIP: image, for vectors of images; text, for vectors of texts, given as tokens: int64 [batch, length].",
            Tower.Image
        );
        ChoiceOption<OnnxPrecision> precision = ContentsOption.PrecisionOption("--precision", "");
        var format = new ChoiceOption<ResultFormat>("--format", "Format of the summary: table or json.", ResultFormat.Table);
        var clip = new ModelOptions(needsClip: false);
        var command = new ExampledCommand(
            "onnx",
            "Writes a model as ONNX, which ONNX Runtime reads without libtorch and CLIP's files; or a tower of plain CLIP, which then "
                + "outputs vectors of images or texts.",
            "dpl onnx model.zip --output model.onnx",
            "dpl onnx model.zip --input image --output model.onnx",
            "dpl onnx model.zip --precision int8 --output model.onnx",
            "dpl onnx --clip ViT-B/16 --output clip.onnx",
            "dpl onnx --clip ViT-B/16 --tower text --output words.onnx"
        );
        command.Arguments.Add(model);
        foreach (Option option in new Option[] { output, input, tower, precision, externalData, format })
            command.Options.Add(option);
        clip.AddTo(command);
        command.SetAction(
            (arguments, cancellationToken) =>
            {
                string? path = arguments.GetValue(model);
                if (path is null && !clip.IsNamed(arguments))
                    throw new ArgumentException("Name a saved model, or with --clip a CLIP of which a tower is to be written.");
                Tower chosen = tower.Read(arguments);
                OnnxInput taken = input.Read(arguments);
                if (chosen == Tower.Text && path is not null)
                    throw new ArgumentException(
                        "A saved model is written with its image tower: --tower text is for plain CLIP, so name that with --clip alone."
                    );
                if (chosen == Tower.Text && taken == OnnxInput.Image)
                    throw new ArgumentException("The text tower takes tokens, not images: leave out --input.");
                var mlContext = new MLContext();
                string written = arguments.GetRequiredValue(output);
                bool beside = arguments.GetValue(externalData);
                string[] inputs = path is null ? [] : [path];
                OutputFile file = OutputFile.Check(written, output.Name, inputs);
                if (beside)
                    OutputFile.Check(written + DataExtension, output.Name, inputs);
                clip.Apply(arguments, mlContext, cancellationToken);
                var form = new Form(taken, precision.Read(arguments), beside);
                using Source source = path is null
                    ? FromClip(mlContext, clip.Backbone(arguments, cancellationToken), chosen)
                    : FromModel(SavedModel.Load(mlContext, path));
                Write(source, file, form, format.Read(arguments), arguments.InvocationConfiguration.Output, cancellationToken);
                return Task.FromResult((int)ExitCode.Success);
            }
        );
        return command;
    }

    /// <summary>The tower of plain CLIP that is written.</summary>
    private enum Tower
    {
        Image,
        Text,
    }

    /// <summary>How the ONNX model is written.</summary>
    private sealed record Form(OnnxInput Input, OnnxPrecision Precision, bool ExternalData);

    /// <summary>The model or tower that is written as ONNX.</summary>
    /// <param name="Owner">The loaded model, disposed with this object.</param>
    /// <param name="Save">Saves the ONNX model to a path.</param>
    /// <param name="Clip">The CLIP it belongs to.</param>
    /// <param name="Tower">The tower that the graph contains.</param>
    /// <param name="Outputs">Names of the graph's outputs, and the number of floats of each per image or text.</param>
    /// <param name="ClassNames">Class names of a classifier; null for plain CLIP.</param>
    /// <param name="Configuration">Prompt lengths; null for plain CLIP.</param>
    private sealed record Source(
        IDisposable Owner,
        Action<string, Form, CancellationToken> Save,
        ClipBackbone Clip,
        Tower Tower,
        IReadOnlyList<(string Name, int Width)> Outputs,
        IReadOnlyList<string>? ClassNames,
        string? Configuration
    ) : IDisposable
    {
        public void Dispose() => Owner.Dispose();
    }

    private static Source FromModel(SavedModel loaded)
    {
        DplTransformer transformer = loaded.Transformer;
        int classes = transformer.ClassNames.Count;
        return new Source(
            loaded,
            (path, form, cancellationToken) =>
                transformer.SaveAsOnnx(path, form.Input, form.ExternalData, form.Precision, cancellationToken),
            transformer.Backbone,
            Tower.Image,
            [("logits", classes), ("probabilities", classes)],
            transformer.ClassNames,
            transformer.Configuration.ToString()
        );
    }

    private static Source FromClip(MLContext mlContext, ClipBackbone clip, Tower tower)
    {
        // No row is read, so any column of the right type will do.
        ClipEmbeddingEstimator estimator =
            tower == Tower.Image
                ? mlContext.Transforms.ClipImageEmbedding("Features", nameof(ImageRow.ImagePath), clip)
                : mlContext.Transforms.ClipTextEmbedding("Features", nameof(ImageRow.Label), clip);
        ClipEmbeddingTransformer transformer = estimator.Fit(mlContext.Data.LoadFromEnumerable(Array.Empty<ImageRow>()));
        return new Source(
            transformer,
            (path, form, cancellationToken) =>
                transformer.SaveAsOnnx(path, form.Input, form.ExternalData, form.Precision, cancellationToken),
            clip,
            tower,
            [("embedding", clip.Config.EmbeddingWidth)],
            ClassNames: null,
            Configuration: null
        );
    }

    private static void Write(
        Source source,
        OutputFile file,
        Form form,
        ResultFormat format,
        TextWriter log,
        CancellationToken cancellationToken
    )
    {
        bool hasData = false;
        file.Write(temporary =>
        {
            cancellationToken.ThrowIfCancellationRequested();
            // Written into a temporary folder, so that no file of the library is left over when a second Ctrl-C ends the process.
            Directory.CreateDirectory(temporary);
            string model = Path.Combine(temporary, Path.GetFileName(file.FullPath));
            source.Save(model, form, cancellationToken);
            hasData = File.Exists(model + DataExtension);
            cancellationToken.ThrowIfCancellationRequested();
        });
        string? dataPath = hasData ? file.FullPath + DataExtension : null;
        long bytes = new FileInfo(file.FullPath).Length;
        long? dataBytes = dataPath is null ? null : new FileInfo(dataPath).Length;
        int size = source.Clip.Config.ImageSize,
            longest = source.Clip.Config.ContextLength;
        bool ofTexts = source.Tower == Tower.Text;
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
                        input = ofTexts ? "tokens" : form.Input.ToString().ToLowerInvariant(),
                        form.Precision,
                        imageSize = ofTexts ? (int?)null : size,
                        contextLength = ofTexts ? longest : (int?)null,
                        source.ClassNames,
                        source.Configuration,
                        backbone = source.Clip.Name,
                    },
                    ToolJson.Indented
                )
            );
            return;
        }
        log.WriteLine($"Written: {file.FullPath}, {ByteSize.Text(bytes)}");
        if (dataPath is not null)
            log.WriteLine($"Weights, which must stay beside it: {dataPath}, {ByteSize.Text(dataBytes!.Value)}");
        log.WriteLine(
            ofTexts ? $"  tokens           int64 [batch, length], length at most {longest}"
            : form.Input == OnnxInput.Image ? "  image            uint8 [height, width, 3]"
            : $"  pixels           float [batch, 3, {size}, {size}]"
        );
        foreach ((string name, int width) in source.Outputs)
            log.WriteLine($"  {name, -16} float [{(form.Input == OnnxInput.Image ? "1" : "batch")}, {width}]");
        log.WriteLine(
            ofTexts ? "Vectors have length 1. How texts become tokens is in its metadata."
            : source.ClassNames is null ? "Vectors have length 1. How images are prepared is in its metadata."
            : "Class names and how images are prepared are in its metadata."
        );
    }
}
