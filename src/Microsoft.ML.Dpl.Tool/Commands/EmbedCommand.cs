using System.CommandLine;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl embed</c>: writes CLIP's embeddings of images or texts to a file.</summary>
internal sealed class EmbedCommand
{
    private const string FromInput = "-";

    private static readonly Dictionary<string, EmbeddingFormat> Formats = new(StringComparer.OrdinalIgnoreCase)
    {
        [".npy"] = EmbeddingFormat.Npy,
        [".csv"] = EmbeddingFormat.Csv,
        [".jsonl"] = EmbeddingFormat.Jsonl,
    };

    private readonly Argument<string[]> _images = new("images")
    {
        Description =
            "Image files; folders, including their sub-folders; .tsv or .csv tables with a column of paths; or - for paths on the standard "
            + "input, one per line.",
        Arity = ArgumentArity.ZeroOrMore,
    };
    private readonly Option<string?> _text = new("--text")
    {
        Description = "A file of texts, one per line, instead of images. Their vectors are in the same space as those of images.",
        HelpName = "file",
    };
    private readonly Option<string> _output = new("--output", "-o")
    {
        Description =
            "File for the vectors, in the order of the input: .npy (one array [rows, width], float32; of an image that cannot be read the "
            + "row is NaN), .csv or .jsonl. An existing file is replaced once the new one is complete.",
        HelpName = "file",
        Required = true,
    };
    private readonly Option<string?> _rows = new("--rows")
    {
        Description = "File for the rows' paths or texts, one per line in the order of the vectors: a .npy file has no place for them.",
        HelpName = "file",
    };
    private readonly Option<bool> _raw = new("--raw")
    {
        Description = "Leaves the vectors as CLIP's towers give them. Without it each has length 1, so that a dot product is the cosine.",
    };
    private readonly Option<int> _batch = new("--batch-size")
    {
        Description = "Images or texts that CLIP processes at a time.",
        HelpName = "number",
        DefaultValueFactory = _ => new ClipImageEmbeddingOptions().BatchSize,
    };
    private readonly Option<string?> _imageColumn = new("--image-column")
    {
        Description = "A table's column of paths. Default: ImagePath, Image, Path or File.",
        HelpName = "column",
    };
    private readonly Option<string?> _imageRoot = new("--image-root")
    {
        Description = "Folder that relative paths of a table are resolved against. Default: the table's folder.",
        HelpName = "folder",
    };
    private readonly Option<bool> _exif = new("--apply-exif")
    {
        Description = "Rotates and mirrors images as their EXIF orientation says.",
    };
    private readonly JsonOption _json = new("the figures (file, rows, width, CLIP)", "nowhere");
    private readonly ModelOptions _clip = new(needsClip: true);
    private readonly ProgressOptions _progress = new();

    public static System.CommandLine.Command Create()
    {
        var verb = new EmbedCommand();
        var command = new ExampledCommand(
            "embed",
            "Writes CLIP's vectors of images or texts, for search, clustering and classifiers elsewhere. Images that cannot be read are "
                + "named on the error stream, and the others are done.",
            "dpl embed photos --clip ViT-B/16 --output photos.npy --rows photos.txt",
            "dpl embed table.tsv --clip tiny --output vectors.csv",
            "dpl embed --text questions.txt --clip ViT-B/16 --output questions.npy"
        );
        command.Arguments.Add(verb._images);
        Option[] options = [verb._text, verb._output, verb._rows, verb._raw, verb._batch, verb._imageColumn, verb._imageRoot, verb._exif];
        foreach (Option option in options)
            command.Options.Add(option);
        verb._json.AddTo(command);
        verb._clip.AddTo(command);
        verb._progress.AddTo(command);
        command.SetAction((arguments, cancellationToken) => Task.FromResult((int)verb.Run(arguments, cancellationToken)));
        return command;
    }

    private ExitCode Run(ParseResult arguments, CancellationToken cancellationToken)
    {
        ProgressMode mode = _progress.Choose(arguments);
        int batch = arguments.GetValue(_batch);
        if (batch < 1)
            throw new ArgumentException($"--batch-size must be at least 1; it is {batch}.");
        string output = arguments.GetRequiredValue(_output);
        if (!Formats.TryGetValue(Path.GetExtension(output), out EmbeddingFormat format))
            throw new ArgumentException($"--output '{output}' must end in .npy, .csv or .jsonl, which says how the vectors are written.");
        string? text = arguments.GetValue(_text);
        string[] named = arguments.GetValue(_images) ?? [];
        if ((named.Length == 0) == (text is null))
            throw new ArgumentException("Give either images (files, folders, a table, or -) or --text with a file of texts.");
        if (text is not null)
            arguments.RefuseGiven($"is for images: leave it out with {_text.Name}.", _imageColumn, _imageRoot, _exif);
        if (text is not null && !File.Exists(text))
            throw new FileNotFoundException($"There is no file '{text}' (--text).", text);
        string[] inputs = text is null ? [.. named.Where(File.Exists)] : [text];
        OutputFile vectors = OutputFile.Check(output, _output.Name, inputs);
        OutputFile? names = arguments.GetValue(_rows) is { } rows ? OutputFile.Check(rows, _rows.Name, [.. inputs, output]) : null;
        OutputFile? json = _json.File(arguments, standard: null, [.. inputs, output]);
        _clip.Check(arguments);
        IReadOnlyList<ImageRow>? listed = text is null ? Listed(arguments, named, cancellationToken) : null;
        var mlContext = new MLContext();
        FitSession.Forward(mlContext, CommandLine.IsVerbose(arguments));
        ClipBackbone backbone = _clip.Backbone(arguments, cancellationToken);
        _clip.ApplyDevice(arguments, mlContext);
        using ClipEmbeddingTransformer transformer = text is null
            ? mlContext
                .Transforms.ClipImageEmbedding(
                    Vector,
                    nameof(ImageRow.ImagePath),
                    backbone,
                    new ClipImageEmbeddingOptions
                    {
                        Normalize = !arguments.GetValue(_raw),
                        BatchSize = batch,
                        ApplyExifOrientation = arguments.GetValue(_exif),
                    }
                )
                .Fit(mlContext.Data.LoadFromEnumerable(Array.Empty<ImageRow>()))
            : mlContext
                .Transforms.ClipTextEmbedding(
                    Vector,
                    nameof(TextRow.Text),
                    backbone,
                    new ClipTextEmbeddingOptions { Normalize = !arguments.GetValue(_raw), BatchSize = batch }
                )
                .Fit(mlContext.Data.LoadFromEnumerable(Array.Empty<TextRow>()));

        IEnumerable<Embedded> found = text is null
            ? Images(
                mlContext,
                transformer,
                named.Contains(FromInput) ? listed!.Concat(Read(cancellationToken)) : listed!,
                batch,
                cancellationToken
            )
            : Texts(mlContext, transformer, Lines(text), cancellationToken);
        int width = backbone.Config.EmbeddingWidth,
            all = 0,
            failed = 0;
        var rowNames = new List<string>();
        ImageDisplay.Show(mode, "embed", text is null && !named.Contains(FromInput) ? listed!.Count : null, progress =>
        {
            vectors.Write(path =>
            {
                using var stream = new FileStream(path, FileMode.Create, FileAccess.ReadWrite);
                using var writer = EmbeddingWriter.Create(format, stream, width, text is null ? "path" : "text");
                foreach (Embedded row in found)
                {
                    writer.Write(row.Name, row.Vector, row.Error);
                    all++;
                    if (names is not null)
                        rowNames.Add(row.Name.ReplaceLineEndings(" "));
                    if (row.Error is not null)
                    {
                        failed++;
                        Terminal.Fail($"{row.Name}: {row.Error}");
                    }
                    progress.Report(new ImageProgress(all));
                }
                if (all > 0 && failed == all)
                    throw new InvalidDataException($"None of {all} images could be read, so no vectors are written.");
            });
            return all;
        });
        names?.Write(path => File.WriteAllLines(path, rowNames, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false)));
        Tell(arguments, json, new Written(vectors.FullPath, names?.FullPath, all, failed, width, backbone.Name, backbone.Sha256));
        if (failed == 0)
            return ExitCode.Success;
        Terminal.Fail(
            $"{failed} of {all} images could not be read"
                + (
                    format == EmbeddingFormat.Npy ? "; their rows are NaN."
                    : format == EmbeddingFormat.Csv ? " and were left out."
                    : "."
                )
        );
        return ExitCode.PartlyFailed;
    }

    private const string Vector = "Vector";

    /// <summary>All images except those from the standard input, which are read later.</summary>
    private IReadOnlyList<ImageRow> Listed(ParseResult arguments, IEnumerable<string> named, CancellationToken cancellationToken)
    {
        string? root = arguments.GetValue(_imageRoot);
        if (root is not null && !Directory.Exists(root))
            throw new DirectoryNotFoundException($"There is no folder '{root}' (--image-root).");
        return
        [
            .. named
                .Where(path => path != FromInput)
                .SelectMany(path =>
                    IsTable(path)
                        ? ImageTable.Paths(path, arguments.GetValue(_imageColumn), root)
                        : NamedImages.Expand(path, cancellationToken).Select(NamedImages.RowOf)
                ),
        ];
    }

    private static bool IsTable(string path) =>
        Path.GetExtension(path).ToLowerInvariant() is ".tsv" or ".csv" or ".txt"
        && (File.Exists(path) ? true : throw new FileNotFoundException($"There is no table '{path}'.", path));

    private static IEnumerable<ImageRow> Read(CancellationToken cancellationToken) =>
        StandardInput.Lines(cancellationToken).Select(NamedImages.RowOf);

    /// <summary>Reads all lines, including empty ones, so that row i is line i.</summary>
    private static string[] Lines(string file)
    {
        var reader = new StringReader(StrictText.Read(file));
        var lines = new List<string>();
        while (reader.ReadLine() is { } line)
            lines.Add(line);
        return [.. lines];
    }

    private static IEnumerable<Embedded> Images(
        MLContext mlContext,
        ClipEmbeddingTransformer transformer,
        IEnumerable<ImageRow> rows,
        int batch,
        CancellationToken cancellationToken
    ) =>
        new ImageScores(mlContext, transformer.Transform, transformer.InputColumnName, Vector)
            .Score(rows, batch, cancellationToken)
            .Select(image => new Embedded(image.Row.Label, image.Numbers, image.Error));

    private static IEnumerable<Embedded> Texts(
        MLContext mlContext,
        ClipEmbeddingTransformer transformer,
        string[] texts,
        CancellationToken cancellationToken
    )
    {
        // One data view over all lines, so that the warning about long texts has line numbers of the file.
        IDataView embedded = transformer.Transform(
            mlContext.Data.LoadFromEnumerable(texts.Select(line => new TextRow { Text = line })),
            cancellationToken
        );
        return texts.Zip(embedded.GetColumn<float[]>(Vector), (line, vector) => new Embedded(line, vector, null));
    }

    private void Tell(ParseResult arguments, OutputFile? json, Written written)
    {
        string text = JsonSerializer.Serialize(written, ToolJson.Indented);
        json?.Write(path => File.WriteAllText(path, text + "\n"));
        TextWriter log = arguments.InvocationConfiguration.Output;
        log.WriteLine(
            _json.IsOutput(arguments)
                ? text
                : $"Written: {written.Path}, {written.Rows} × {written.Width}, {ByteSize.Text(new FileInfo(written.Path).Length)}"
        );
        if (written.Rows == 0)
            Terminal.Warn("There was nothing to embed.");
    }

    private sealed record Embedded(string Name, float[]? Vector, string? Error);

    private sealed record Written(
        string Path,
        string? RowsPath,
        int Rows,
        int Unreadable,
        int Width,
        string Backbone,
        string BackboneSha256
    );

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }
}
