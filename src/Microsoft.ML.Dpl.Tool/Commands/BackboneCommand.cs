using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Results;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl backbone</c>: lists, downloads, verifies and describes CLIPs, and shows which of them are in this machine's
/// cache.</summary>
internal static class BackboneCommand
{
    private static readonly JsonOption Json = new("the results", "none");
    private static readonly Option<string> Revision = new("--revision")
    {
        Description = "A branch, a tag or a commit of the repository.",
        HelpName = "revision",
        DefaultValueFactory = _ => "main",
    };
    private static readonly Option<string?> Cache = new("--cache")
    {
        Description = "The cache's folder. Default: that of Hugging Face's tools (HF_HUB_CACHE, HF_HOME).",
        HelpName = "folder",
    };

    private static readonly string[] Names = [.. KnownClip.All.Select(known => known.Name)];

    public static System.CommandLine.Command Create()
    {
        var command = new ExampledCommand(
            "backbone",
            "Lists, downloads, checks and describes CLIPs.",
            "dpl backbone list",
            "dpl backbone download ViT-B/16",
            "dpl backbone verify ViT-B/16",
            "dpl backbone info ./my-clip"
        );
        command.Subcommands.Add(List());
        command.Subcommands.Add(Download());
        command.Subcommands.Add(Verify());
        command.Subcommands.Add(Info());
        return command;
    }

    private static ExampledCommand List()
    {
        var command = new ExampledCommand("list", "Lists CLIPs that have names, and which of them are in the cache.", "dpl backbone list");
        AddOptions(command);
        command.SetAction(arguments =>
            Write(arguments, KnownClip.All.Select(known => Listed.From(known, OptionsOf(arguments))).ToArray(), clips =>
            {
                Table table = new Table()
                    .Border(TableBorder.Simple)
                    .AddColumns("name", "repository", "parameters", "size", "image", "widths (image, text, shared)", "in the cache");
                foreach (Listed clip in clips)
                {
                    table.AddRow(
                        Escaped(
                            clip.Name == clip.Repository ? "" : clip.Name,
                            clip.Repository,
                            clip.Parameters.ToString("N0", CultureInfo.InvariantCulture),
                            "about " + ByteSize.Text(clip.Bytes),
                            $"{clip.ImageSize} × {clip.ImageSize}",
                            $"{clip.ImageWidth}, {clip.TextWidth}, {clip.EmbeddingWidth}",
                            clip.State
                        )
                    );
                }
                Terminal.Out.Write(table);
            })
        );
        return command;
    }

    private static ExampledCommand Download()
    {
        var name = new Argument<string>("name") { Description = "A short name or a repository of the hub." };
        name.CompletionSources.Add(Names);
        var progress = new ProgressOptions();
        var command = new ExampledCommand(
            "download",
            "Downloads a CLIP into the cache; an interrupted download continues where it stopped.",
            "dpl backbone download ViT-B/16",
            "dpl backbone download laion/CLIP-ViT-B-16-laion2B-s34B-b88K --revision main"
        );
        command.Arguments.Add(name);
        AddOptions(command);
        progress.AddTo(command);
        command.SetAction(
            (arguments, cancellationToken) =>
            {
                progress.Choose(arguments);
                ClipBackbone backbone = DownloadDisplay.Run(OptionsOf(arguments), shown =>
                    ClipBackbone.FromPretrainedAsync(arguments.GetRequiredValue(name), shown, cancellationToken)
                );
                return Task.FromResult(
                    Write(arguments, new Downloaded(backbone.Name, backbone.Location!, Described.FilesOf(backbone)), done =>
                    {
                        foreach (DescribedFile file in done.Files)
                            Terminal.Line($"{file.Path}  {ByteSize.Text(file.Bytes)}");
                    })
                );
            }
        );
        return command;
    }

    private static ExampledCommand Verify()
    {
        var name = new Argument<string>("name") { Description = "A short name or a repository of the hub that is in the cache." };
        name.CompletionSources.Add(Names);
        var command = new ExampledCommand(
            "verify",
            "Reads every file of a CLIP in the cache and checks it against its hash. Does not use the network.",
            "dpl backbone verify ViT-B/16"
        );
        command.Arguments.Add(name);
        AddOptions(command);
        command.SetAction(
            (arguments, cancellationToken) =>
            {
                IReadOnlyList<HubFileCheck> checks = ClipHub.Verify(
                    arguments.GetRequiredValue(name),
                    OptionsOf(arguments),
                    cancellationToken
                );
                Write(arguments, checks, all =>
                {
                    Table table = new Table().Border(TableBorder.Simple).AddColumns("file", "size", "hash", "content");
                    foreach (HubFileCheck check in all)
                        table.AddRow(
                            Escaped(
                                check.File,
                                ByteSize.Text(check.Bytes),
                                check.Hash ?? "not kept",
                                check.IsValid switch
                                {
                                    true => "right",
                                    false => "WRONG",
                                    null => "cannot be told",
                                }
                            )
                        );
                    Terminal.Out.Write(table);
                });
                string[] wrong = [.. checks.Where(check => check.IsValid == false).Select(check => check.File)];
                if (wrong.Length == 0)
                    return Task.FromResult((int)ExitCode.Success);
                Terminal.Fail(
                    $"{string.Join(", ", wrong)}: the content does not match its hash. Delete the model's folder from the cache and "
                        + "download it again."
                );
                return Task.FromResult((int)ExitCode.BadInput);
            }
        );
        return command;
    }

    private static ExampledCommand Info()
    {
        var clip = new Argument<string>("clip") { Description = BackboneArgument.Description };
        clip.CompletionSources.Add(BackboneArgument.Names);
        var command = new ExampledCommand(
            "info",
            "Shows a CLIP's shape, vocabulary, preprocessing and hash. A named CLIP that is not in the cache is downloaded.",
            "dpl backbone info ViT-B/16",
            "dpl backbone info ./my-clip --json"
        );
        command.Arguments.Add(clip);
        AddOptions(command);
        command.SetAction(
            (arguments, cancellationToken) =>
            {
                Described described = Described.From(
                    BackboneArgument.Resolve(arguments.GetRequiredValue(clip), OptionsOf(arguments), cancellationToken)
                );
                return Task.FromResult(Write(arguments, described, WriteTable));
            }
        );
        return command;
    }

    private static void WriteTable(Described clip)
    {
        Table table = new Table().Border(TableBorder.Simple).HideHeaders().AddColumns("what", "value");
        void Row(string name, string value) => table.AddRow(Escaped(name, value));
        string Tower(ClipTransformerConfig t) =>
            $"{t.Layers} layers of width {t.Width}, {t.Heads} heads, MLP of width {t.MlpWidth}, "
            + $"{(t.Activation == ClipActivation.QuickGelu ? "quick GELU" : "GELU")}";
        string Numbers(IEnumerable<float> numbers) => string.Join(", ", numbers.Select(n => n.ToString(CultureInfo.InvariantCulture)));
        Row("name", clip.Name);
        if (clip.Location is { } location)
            Row("location", location);
        Row(
            "image tower",
            $"{clip.Shape.ImageSize} × {clip.Shape.ImageSize} pixels in patches of {clip.Shape.PatchSize}, {Tower(clip.Shape.Image)}"
        );
        Row("text tower", $"up to {clip.Shape.ContextLength} tokens, {Tower(clip.Shape.Text)}");
        Row("shared space", $"width {clip.Shape.EmbeddingWidth}");
        Row("vocabulary", $"{clip.Shape.VocabularySize.ToString("N0", CultureInfo.InvariantCulture)} tokens");
        Row(
            "preprocessing",
            $"short side to {clip.Preprocessing.ShortSide} pixels (bicubic), middle {clip.Preprocessing.CropSize} × "
                + $"{clip.Preprocessing.CropSize}, mean {Numbers(clip.Preprocessing.Mean)}, deviation "
                + Numbers(clip.Preprocessing.Deviation)
        );
        Row("preprocessing from", clip.PreprocessingFile ?? "no file: as for OpenAI's CLIPs");
        Row("SHA-256 of the weights", clip.Sha256);
        foreach (DescribedFile file in clip.Files)
            Row("file", $"{file.Path}, {ByteSize.Text(file.Bytes)}");
        Terminal.Out.Write(table);
    }

    private static void AddOptions(System.CommandLine.Command command)
    {
        Json.AddTo(command);
        foreach (Option option in new Option[] { Revision, Cache })
            command.Options.Add(option);
    }

    private static HubOptions OptionsOf(ParseResult arguments) =>
        new() { Revision = arguments.GetRequiredValue(Revision), CacheFolder = arguments.GetValue(Cache) };

    private static string[] Escaped(params string[] cells) => [.. cells.Select(Terminal.Cell)];

    private static int Write<T>(ParseResult arguments, T result, Action<T> table)
    {
        Json.File(arguments, standard: null, [])
            ?.Write(path => File.WriteAllText(path, JsonSerializer.Serialize(result, ToolJson.Indented)));
        if (Json.IsOutput(arguments))
            Console.Out.WriteLine(JsonSerializer.Serialize(result, ToolJson.Indented));
        else
            table(result);
        return (int)ExitCode.Success;
    }

    private sealed record Downloaded(string Name, string Folder, IReadOnlyList<DescribedFile> Files);

    private sealed record DescribedFile(string Path, long Bytes);

    private sealed record Described(
        string Name,
        string? Location,
        ClipConfig Shape,
        ClipImageProcessorConfig Preprocessing,
        string? PreprocessingFile,
        string Sha256,
        IReadOnlyList<DescribedFile> Files
    )
    {
        public static Described From(ClipBackbone clip) =>
            new(
                clip.Name,
                clip.Location,
                clip.Config,
                clip.ReadPreprocessing(),
                clip.FilePaths.FirstOrDefault(path => PreprocessingFiles.Contains(Path.GetFileName(path))),
                clip.Sha256,
                FilesOf(clip)
            );

        private static readonly string[] PreprocessingFiles =
        [
            "processor_config.json",
            "preprocessor_config.json",
            "open_clip_config.json",
        ];

        // A file may be a symbolic link, as in the hub's cache, so the length of its target is needed.
        public static IReadOnlyList<DescribedFile> FilesOf(ClipBackbone clip) =>
            [
                .. clip.FilePaths.Select(path => new DescribedFile(
                    path,
                    (File.ResolveLinkTarget(path, returnFinalTarget: true) as FileInfo ?? new FileInfo(path)).Length
                )),
            ];
    }

    private sealed record Listed(
        string Name,
        string Repository,
        long Parameters,
        long Bytes,
        int ImageSize,
        int ImageWidth,
        int TextWidth,
        int EmbeddingWidth,
        string State,
        string? Folder
    )
    {
        public static Listed From(KnownClip known, HubOptions options)
        {
            string? folder = null;
            string state;
            try
            {
                folder = ClipHub.GetCachedFolder(known.Repository, options);
                state = folder is null ? "no" : "yes";
            }
            catch (InvalidDataException e)
            {
                state = $"damaged: {e.Message}";
            }
            ClipConfig shape = known.Config;
            return new(
                known.Name,
                known.Repository,
                known.Parameters,
                known.Bytes,
                shape.ImageSize,
                shape.Image.Width,
                shape.Text.Width,
                shape.EmbeddingWidth,
                state,
                folder
            );
        }
    }
}
