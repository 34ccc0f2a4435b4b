using System.Text.Json;
using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Where a CLIP's weights and vocabulary come from: files, or a model zip that carried them.</summary>
internal interface IClipSource
{
    /// <summary>Whether the text tower and its vocabulary are there.</summary>
    bool HasText { get; }

    /// <summary>Lower-case hexadecimal SHA-256 by which a model names the weights.</summary>
    /// <exception cref="IOException">The weights are gone or have changed.</exception>
    /// <exception cref="InvalidDataException">A file of the hub's cache is not what its hash says.</exception>
    string HashWeights();

    /// <exception cref="IOException">The weights are gone or have changed.</exception>
    void RequireUnchanged();

    /// <summary>The image tower on a device, shared with everyone who rents it there.</summary>
    /// <exception cref="IOException">The weights are gone or have changed.</exception>
    Lease<ImageWeights> RentImageTower(ClipConfig config, Device device);

    /// <summary>The text tower on a device, shared with everyone who rents it there.</summary>
    /// <exception cref="IOException">There is no text tower, or the weights are gone or have changed.</exception>
    Lease<TextWeights> RentTextTower(ClipConfig config, Device device);

    /// <exception cref="IOException">There is no vocabulary.</exception>
    /// <exception cref="InvalidDataException">It is malformed.</exception>
    ClipVocabulary ReadVocabulary();

    /// <param name="imageSize">The side of the image tower's input in pixels.</param>
    /// <exception cref="InvalidDataException">The preprocessing is one that this library does not support.</exception>
    ClipImageProcessorConfig ReadImageProcessor(int imageSize);

    /// <summary>A share in weights that exist in memory only, so that they stay until it is disposed; null where they can be read
    /// again.</summary>
    /// <exception cref="IOException">The weights are gone.</exception>
    IDisposable? Hold();
}

/// <summary>The files that make up a CLIP on disk: a folder in Hugging Face's or open_clip's layout, or a single file in
/// OpenAI's.</summary>
internal sealed class ClipFiles : IClipSource
{
    private readonly string _open;
    private readonly VocabularyFiles _vocabulary;
    private readonly bool _isOpenClip;

    private ClipFiles(IReadOnlyList<string> weights, string open, ClipNaming naming, VocabularyFiles vocabulary, string? preprocessor)
    {
        (_open, Naming, _vocabulary, PreprocessorConfigPath) = (open, naming, vocabulary, preprocessor);
        _isOpenClip = preprocessor is not null && Path.GetFileName(preprocessor) == FolderLayout.OpenClipConfig;
        Weights = [.. weights.Select(FileStamp.Read)];
    }

    /// <summary>The weight files as they were on opening, in the order of their names.</summary>
    public IReadOnlyList<FileStamp> Weights { get; }

    /// <summary>vocab.json, tokenizer.json or bpe_simple_vocab_16e6.txt.gz.</summary>
    public string VocabularyPath => _vocabulary.Path;

    /// <summary>merges.txt; null where the vocabulary is one file.</summary>
    public string? MergesPath => _vocabulary.MergesPath;

    /// <summary>preprocessor_config.json, processor_config.json or open_clip's configuration; null where there is none.</summary>
    public string? PreprocessorConfigPath { get; }

    /// <summary>Whether the weights are a single file with a vocabulary of its own place, instead of a folder.</summary>
    public bool IsOpenAILayout { get; private init; }

    public bool HasText => true;

    public ClipNaming Naming { get; }

    /// <exception cref="FileNotFoundException">Weights are missing.</exception>
    public static (ClipFiles Files, Func<ITensorSource, ClipConfig> Config) InFolder(string folder)
    {
        string In(string name) => Path.Combine(folder, name);
        string config = In(FolderLayout.HuggingFaceConfig),
            openClip = In(FolderLayout.OpenClipConfig);
        if (!File.Exists(config) && !File.Exists(openClip))
            throw new FileNotFoundException(
                $"The folder '{folder}' has no config.json, so it holds no CLIP in Hugging Face's layout, nor "
                    + $"{FolderLayout.OpenClipConfig} as open_clip's has.",
                config
            );
        // Checkpoints from before torch 1.6 are not zips, and reading them would mean executing them.
        FolderLayout layout = FolderLayout.Choose(
            name => File.Exists(In(name)) && (Path.GetExtension(name) != ".bin" || TorchArchive.IsZip(In(name))),
            File.Exists(config) ? config : null
        ) ?? throw NoWeights(folder);

        string weights = In(layout.Weights);
        IReadOnlyList<string> files = layout.IsIndex ? PresentShards(weights) : [weights];
        VocabularyFiles vocabulary = VocabularyFiles.In(folder);
        if (!layout.IsOpenClip)
        {
            ClipConfig read = ClipConfigReader.FromFile(config);
            string? preprocessor = ClipImageProcessorConfig.FileIn(folder);
            return (new ClipFiles(files, weights, ClipNaming.HuggingFace, vocabulary, preprocessor), _ => read);
        }
        ClipConfig shape = OpenClipConfigReader.FromFile(openClip);
        using ITensorSource source = Open(weights);
        return (new ClipFiles(files, weights, ClipNaming.ForOpenClip(source), vocabulary, openClip), _ => shape);
    }

    /// <param name="weights">A .safetensors file or an archive of PyTorch.</param>
    /// <param name="vocabulary">The vocabulary's files, which need not exist yet; <see cref="RequireTokenizer"/> asks for them.</param>
    /// <exception cref="FileNotFoundException">There is no such weights file.</exception>
    public static ClipFiles InOpenAILayout(string weights, VocabularyFiles vocabulary)
    {
        if (!File.Exists(weights))
            throw new FileNotFoundException($"There is no weights file '{weights}'.", weights);
        return new ClipFiles([weights], weights, ClipNaming.OpenAI, vocabulary, preprocessor: null) { IsOpenAILayout = true };
    }

    /// <summary>Opens the weights; only their headers are read.</summary>
    /// <exception cref="InvalidDataException">A file is invalid.</exception>
    /// <exception cref="IOException">A file has changed since this object was made.</exception>
    public ITensorSource OpenWeights()
    {
        RequireUnchanged();
        return Open(_open);
    }

    /// <inheritdoc/>
    public Lease<ImageWeights> RentImageTower(ClipConfig config, Device device) =>
        Rent(config, device, source => ClipWeightsReader.ReadImageTower(source, Naming, config, device));

    /// <inheritdoc/>
    public Lease<TextWeights> RentTextTower(ClipConfig config, Device device) =>
        Rent(config, device, source => ClipWeightsReader.ReadTextTower(source, Naming, config, device));

    /// <inheritdoc/>
    public ClipVocabulary ReadVocabulary() => _vocabulary.Read();

    /// <inheritdoc/>
    public ClipImageProcessorConfig ReadImageProcessor(int imageSize) =>
        PreprocessorConfigPath is not { } path ? ClipImageProcessorConfig.Default(imageSize)
        : _isOpenClip ? OpenClipConfigReader.Preprocessing(path, imageSize)
        : ClipImageProcessorConfig.Read(path, imageSize);

    public IDisposable? Hold() => null;

    /// <exception cref="IOException">A weights file is gone or has changed since this object was made.</exception>
    public void RequireUnchanged()
    {
        foreach (FileStamp file in Weights)
            file.ThrowIfChanged();
    }

    /// <exception cref="FileNotFoundException">A file of the tokenizer is missing.</exception>
    public void RequireTokenizer() => _vocabulary.RequirePresent();

    /// <summary>Lower-case hexadecimal SHA-256 of the weights file; of several, SHA-256 over their SHA-256 values (32 bytes each) in the
    /// order of their names.</summary>
    /// <exception cref="IOException">A file has changed since this object was made.</exception>
    /// <exception cref="InvalidDataException">A file of the hub's cache is not what its hash says.</exception>
    public string HashWeights()
    {
        string[] hashes = [.. Weights.Select(Hash)];
        return hashes is [var only] ? only : Sha256.Compute(Convert.FromHexString(string.Concat(hashes)));
    }

    private Lease<T> Rent<T>(ClipConfig config, Device device, Func<ITensorSource, T> read)
        where T : class, IDisposable
    {
        var key = (typeof(T), ComputeDevice.KeyOf(device), string.Join('\n', Weights), config);
        return SharedWeights.Rent(key, () =>
        {
            using ITensorSource source = OpenWeights();
            return read(source);
        });
    }

    private static string Hash(FileStamp file)
    {
        using FileStream stream = File.OpenRead(file.FullPath);
        string hash = Sha256.Compute(stream);
        file.ThrowIfChanged();
        if (HubCache.Sha256Of(file.FullPath) is { } expected && hash != expected)
            throw ModelFile.Damaged(file.FullPath, expected);
        return hash;
    }

    /// <summary>Opens a .safetensors file, the index of several, or an archive of PyTorch.</summary>
    private static ITensorSource Open(string path) =>
        PrefixedTensors.Stripped(
            Path.GetExtension(path).ToUpperInvariant() switch
            {
                ".SAFETENSORS" => SafetensorsFile.Open(path),
                ".JSON" => ShardedSafetensors.Open(path),
                _ => TorchArchive.Open(path),
            }
        );

    private static FileNotFoundException NoWeights(string folder)
    {
        if (Path.Combine(folder, FolderLayout.Archive) is var archive && File.Exists(archive))
            GitLfsPointer.Refuse(archive);
        string missing = Path.Combine(folder, FolderLayout.SingleFile);
        string advice = File.Exists(Path.Combine(folder, FolderLayout.Archive))
            ? $"It has {FolderLayout.Archive}, which must be converted to safetensors first: it is no zip archive, as torch.save "
                + "writes since torch 1.6."
            : "Download them from the model's page.";
        return new($"The folder '{folder}' has neither {FolderLayout.SingleFile} nor {FolderLayout.Index}. {advice}", missing);
    }

    private static IReadOnlyList<string> PresentShards(string index)
    {
        // Opening names every shard that is missing, not only the first.
        using ShardedSafetensors source = ShardedSafetensors.Open(index);
        return ShardedSafetensors.ShardPaths(index);
    }
}

/// <summary>A pair of files by which a folder, or a repository of the hub, holds a CLIP.</summary>
/// <param name="Config">The file of the shape.</param>
/// <param name="Weights">The file of the weights, or their index.</param>
internal sealed record FolderLayout(string Config, string Weights)
{
    public const string HuggingFaceConfig = "config.json",
        OpenClipConfig = "open_clip_config.json",
        SingleFile = "model.safetensors",
        Index = "model.safetensors.index.json",
        Archive = "pytorch_model.bin";

    private const string OpenClipFile = "open_clip_model.safetensors",
        OpenClipArchive = "open_clip_pytorch_model.bin";

    /// <summary>All of them, the best first: safetensors can be read without unpacking, and Hugging Face's files say more than
    /// open_clip's.</summary>
    public static IReadOnlyList<FolderLayout> All { get; } =
    [
        new(HuggingFaceConfig, SingleFile),
        new(HuggingFaceConfig, Index),
        new(OpenClipConfig, OpenClipFile),
        new(HuggingFaceConfig, Archive),
        new(OpenClipConfig, OpenClipArchive),
    ];

    /// <summary>Whether a file is named as open_clip names its weights, which say neither activation nor heads: only the configuration
    /// beside them does.</summary>
    public static bool IsOpenClipWeights(string path) => Path.GetFileName(path) is OpenClipFile or OpenClipArchive;

    public bool IsOpenClip => Config == OpenClipConfig;

    public bool IsIndex => Weights == Index;

    public bool IsArchive => Weights is Archive or OpenClipArchive;

    /// <summary>The best layout whose files are there; null where none's are.</summary>
    /// <param name="has">Whether there is a file of a name.</param>
    /// <param name="huggingFaceConfig">The path of config.json, read only where there is a choice; null where there is no such
    /// file.</param>
    public static FolderLayout? Choose(Func<string, bool> has, string? huggingFaceConfig)
    {
        FolderLayout[] present = [.. All.Where(layout => has(layout.Config) && has(layout.Weights))];
        // A repository may hold an image model's config.json beside open_clip's files.
        bool otherKind = present.Any(layout => layout.IsOpenClip) && huggingFaceConfig is not null && !SaysClip(huggingFaceConfig);
        return present.FirstOrDefault(layout => layout.IsOpenClip || !otherKind);
    }

    private static bool SaysClip(string config)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(ModelFile.ReadAll(config));
            return document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("model_type", out JsonElement type)
                && type.ValueKind == JsonValueKind.String
                && type.GetString() == "clip";
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Broken text is reported with the former and broken UTF-8 with the latter.
            return false; // the other configuration is used; a broken one that is needed is reported by its reader
        }
    }
}

/// <summary>Identifies a file and its state without reading the content.</summary>
/// <param name="FullPath">Absolute path.</param>
/// <param name="Length">Bytes.</param>
/// <param name="LastWriteUtc">The time of the last write.</param>
internal sealed record FileStamp(string FullPath, long Length, DateTime LastWriteUtc)
{
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static FileStamp Read(string path)
    {
        // Read from the open file: the path may be a link, as in Hugging Face's cache, whose own length is not the file's.
        using var file = File.OpenHandle(path);
        return new FileStamp(Path.GetFullPath(path), RandomAccess.GetLength(file), File.GetLastWriteTimeUtc(file));
    }

    /// <exception cref="IOException">The file has changed since this stamp was made.</exception>
    public void ThrowIfChanged()
    {
        if (Read(FullPath) != this)
            throw new IOException($"{FullPath} has changed since the CLIP was opened; open it again.");
    }
}
