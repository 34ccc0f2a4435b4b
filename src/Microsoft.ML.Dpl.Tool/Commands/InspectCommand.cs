using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Results;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl inspect</c>: shows what a model zip contains, without needing its CLIP.</summary>
internal static class InspectCommand
{
    public static System.CommandLine.Command Create()
    {
        var model = new Argument<string>("model") { Description = "A saved model." };
        var format = new ChoiceOption<ResultFormat>("--format", "table or json.", ResultFormat.Table);
        var command = new ExampledCommand(
            "inspect",
            "Shows what a model zip holds: classes, configuration, the CLIP it needs, sizes. CLIP itself is not needed for it.",
            "dpl inspect model.zip"
        );
        command.Arguments.Add(model);
        command.Options.Add(format);
        command.SetAction(arguments => (int)Run(arguments.GetRequiredValue(model), format.Read(arguments)));
        return command;
    }

    private static ExitCode Run(string path, ResultFormat format)
    {
        if (!File.Exists(path))
            throw new FileNotFoundException($"There is no model '{path}'.", path);
        ModelInfo info = ModelInfo.Read(path);
        string? refusal = RefusalOf(path);
        if (refusal is not null)
            Terminal.Warn(refusal);
        if (format == ResultFormat.Json)
        {
            JsonNode json = JsonSerializer.SerializeToNode(info, ToolJson.Indented)!;
            json["refusal"] = refusal;
            Console.Out.WriteLine(JsonSerializer.Serialize(json, ToolJson.Indented));
            return ExitCode.Success;
        }
        var table = new Table().Border(TableBorder.Simple).HideHeaders().AddColumn("what").AddColumn("value");
        void Row(string name, string value) => table.AddRow(name, Terminal.Cell(value));
        Row("model", $"{Path.GetFullPath(path)}, {ByteSize.Text(new FileInfo(path).Length)}");
        Row(
            "classes",
            info.ClassNames is { } classes
                ? $"{classes.Count}: {string.Join(", ", classes)}"
                : "not named in zips of earlier versions; dpl predict shows them"
        );
        Row(
            "text of a class",
            info.Context is { } context ? $"{ContextResults.Described(context)}"
                : info.Templates is { } templates ? $"the mean of {TemplatesText.Listed(templates)}"
                : info.Template
        );
        if (info.Design is { } design)
            Row("design", design.ToString());
        if (info.Design?.TeacherTemplates is { } read)
            Row("texts of the teacher", TemplatesText.Listed(read));
        Row("configuration", info.Configuration.ToString());
        if (info.MixtureCandidateLengths is { } candidates)
            Row("mixture", $"of {string.Join(' ', candidates)} rows in every layer; the configuration is the largest weight of each");
        Row(
            "found by",
            info.Search is { } search
                ? $"a search of {search.Epochs.Count} epochs among {string.Join(' ', search.CandidateLengths)}"
                : "given, not searched"
        );
        if (info.ValidationAccuracy is double accuracy)
            Row("validation accuracy", EvaluationTables.Percent(accuracy));
        if (info.Threshold is double threshold)
            Row("threshold", $"no class is predicted below a probability of {EvaluationTables.Percent(threshold)}");
        if (info.WasCancelled)
            Row("cancelled", "the fit was cut short; this is the best it had by then");
        if (info.HasDiverged)
            Row("diverged", "the fit diverged; this is the best it had before");
        Row("CLIP", $"{info.BackboneName}, SHA-256 {info.BackboneSha256}");
        Row(
            "CLIP in the zip",
            info.Contents switch
            {
                ModelContents.WithClip => "all of it",
                ModelContents.WithImageTower => "the image tower",
                ModelContents.WithOnnx => "nothing of it, but a graph with which ONNX Runtime predicts without it",
                _ => "nothing of it",
            }
        );
        if (info.BackboneLocation is { } location)
            Row("CLIP was in", location);
        if (info.ImageFolder is { } folder)
            Row("relative paths start at", folder);
        string turned = info.ApplyExifOrientation
            ? "rotated as their EXIF orientation says"
            : "as they are stored, whatever EXIF says of their orientation";
        Row("images", $"of at most {info.MaxImagePixels.ToString("N0", CultureInfo.InvariantCulture)} pixels, {turned}");
        Row("check of the zip", refusal is null ? "passed" : "REFUSED: no other command opens it");
        Row("written by", info.MLNetVersion is { } version ? $"ML.NET {version}" : "an unknown version of ML.NET");
        foreach (ModelEntry entry in info.Entries)
            Row($"entry {entry.Name}", $"{ByteSize.Text(entry.Bytes)}, {ByteSize.Text(entry.CompressedBytes)} in the zip");
        Terminal.Out.Write(table);
        if (info.Search is not null)
            ConfigurationTable.Write(info.Configuration, info.Search);
        if (info.Contents is ModelContents.PromptsOnly or ModelContents.WithOnnx && refusal is null)
            Terminal.Warn(
                "The zip does not carry CLIP. It is looked for where it was during training; elsewhere, name its folder with --clip or the "
                    + "environment variable DPL_CLIP, or fit with --contents image-tower or clip."
            );
        return ExitCode.Success;
    }

    /// <summary>Why the other commands refuse the zip; null if they accept it.</summary>
    private static string? RefusalOf(string path)
    {
        try
        {
            ModelZip.Check(path);
            return null;
        }
        catch (InvalidDataException e)
        {
            return e.Message;
        }
    }
}
