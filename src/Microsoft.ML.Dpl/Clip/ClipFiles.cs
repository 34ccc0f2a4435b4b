using System.Text.Json;
using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>The source of a CLIP's weights and vocabulary: files, or a model zip that contained them.</summary>
internal interface IClipSource
{
    /// <summary>Whether the text tower and its vocabulary are available.</summary>
    bool HasText { get; }

    /// <summary>Lower-case hexadecimal SHA-256 by which a model identifies the weights.</summary>
    /// <exception cref="IOException">The weights are missing or have changed.</exception>
    /// <exception cref="InvalidDataException">A file in the hub's cache does not match its hash.</exception>
    string HashWeights();

    /// <exception cref="IOException">The weights are missing or have changed.</exception>
    void RequireUnchanged();

    /// <summary>The image tower on a device, shared by all callers that rent it for that device.</summary>
    /// <exception cref="IOException">The weights are missing or have changed.</exception>
    Lease<ImageWeights> RentImageTower(ClipConfig config, Device device);

    /// <summary>The text tower on a device, shared by all callers that rent it for that device.</summary>
    /// <exception cref="IOException">There is no text tower, or the weights are missing or have changed.</exception>
    Lease<TextWeights> RentTextTower(ClipConfig config, Device device);

    /// <exception cref="IOException">There is no vocabulary.</exception>
    /// <exception cref="InvalidDataException">The vocabulary is malformed.</exception>
    ClipVocabulary ReadVocabulary();

    /// <param name="imageSize">The side of the image tower's input in pixels.</param>
    /// <exception cref="InvalidDataException">The configuration specifies preprocessing that this library does not support.</exception>
    ClipImageProcessorConfig ReadImageProcessor(int imageSize);

    /// <summary>Keeps weights that exist only in memory until the result is disposed; null if the weights can be read again.</summary>
    /// <exception cref="IOException">The weights have been disposed.</exception>
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

    /// <summary>merges.txt; null if the vocabulary is a single file.</summary>
    public string? MergesPath => _vocabulary.MergesPath;

    /// <summary>preprocessor_config.json, processor_config.json or open_clip's configuration; null if there is none.</summary>
    public string? PreprocessorConfigPath { get; }

    /// <summary>The file with the shape of the towers, config.json or open_clip's configuration; null for a single file, whose tensors have
    /// it.</summary>
    public string? ConfigPath { get; private init; }

    /// <summary>The file that names the weight files; null if there is one file of weights.</summary>
    public string? IndexPath => Weights.Any(file => file.FullPath == Path.GetFullPath(_open)) ? null : _open;

    /// <summary>Whether the weights are a single file with a separately located vocabulary, instead of a folder.</summary>
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
        // Checkpoints from before torch 1.6 are not zip archives, and reading them would mean executing pickle code.
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
            return (new ClipFiles(files, weights, ClipNaming.HuggingFace, vocabulary, preprocessor) { ConfigPath = config }, _ => read);
        }
        ClipConfig shape = OpenClipConfigReader.FromFile(openClip);
        using ITensorSource source = Open(weights);
        return (new ClipFiles(files, weights, ClipNaming.ForOpenClip(source), vocabulary, openClip) { ConfigPath = openClip }, _ => shape);
    }

    /// <param name="weights">A .safetensors file or a PyTorch archive.</param>
    /// <param name="vocabulary">The vocabulary's files, which need not exist yet; <see cref="RequireTokenizer"/> checks for them.</param>
    /// <exception cref="FileNotFoundException">The weights file does not exist.</exception>
    public static ClipFiles InOpenAILayout(string weights, VocabularyFiles vocabulary)
    {
        if (!File.Exists(weights))
            throw new FileNotFoundException($"There is no weights file '{weights}'.", weights);
        return new ClipFiles([weights], weights, ClipNaming.OpenAI, vocabulary, preprocessor: null) { IsOpenAILayout = true };
    }

    /// <summary>Opens the weights; reads only their headers.</summary>
    /// <exception cref="InvalidDataException">A file is invalid.</exception>
    /// <exception cref="IOException">A file has changed since this object was created.</exception>
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

    /// <exception cref="IOException">A weights file is missing or has changed since this object was created.</exception>
    public void RequireUnchanged()
    {
        foreach (FileStamp file in Weights)
            file.ThrowIfChanged();
    }

    /// <exception cref="FileNotFoundException">A file of the tokenizer is missing.</exception>
    public void RequireTokenizer() => _vocabulary.RequirePresent();

    /// <summary>Lower-case hexadecimal SHA-256 of the weights file; for several files, the SHA-256 over their SHA-256 values (32 bytes
    /// each) in the order of their names.</summary>
    /// <exception cref="IOException">A file has changed since this object was created.</exception>
    /// <exception cref="InvalidDataException">A file in the hub's cache does not match its hash.</exception>
    public string HashWeights()
    {
        string[] hashes = [.. Weights.Select(Hash)];
        return hashes is [var only] ? only : Sha256.Compute(Convert.FromHexString(string.Concat(hashes)));
    }

    private Lease<T> Rent<T>(ClipConfig config, Device device, Func<ITensorSource, T> read)
        where T : class, IDisposable
    {
        var key = (typeof(T), ComputeDevice.KeyOf(device), string.Join('\n', Weights.Select(file => file.Key)), config);
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

    /// <summary>Opens a .safetensors file, the index of several, or a PyTorch archive.</summary>
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
            ? $"It has {FolderLayout.Archive}, which must be converted to safetensors first: it is not a zip archive, as torch.save "
                + "writes since torch 1.6."
            : "Download them from the model's page.";
        return new($"The folder '{folder}' has neither {FolderLayout.SingleFile} nor {FolderLayout.Index}. {advice}", missing);
    }

    private static IReadOnlyList<string> PresentShards(string index)
    {
        // Opened for its error message, which names all missing shards and not only the first.
        using ShardedSafetensors source = ShardedSafetensors.Open(index);
        return ShardedSafetensors.ShardPaths(index);
    }
}

/// <summary>A pair of file names in which a folder, or a repository on the hub, stores a CLIP.</summary>
/// <param name="Config">The configuration file.</param>
/// <param name="Weights">The weights file, or the index of several.</param>
internal sealed record FolderLayout(string Config, string Weights)
{
    public const string HuggingFaceConfig = "config.json",
        OpenClipConfig = "open_clip_config.json",
        SingleFile = "model.safetensors",
        Index = "model.safetensors.index.json",
        Archive = "pytorch_model.bin";

    private const string OpenClipFile = "open_clip_model.safetensors",
        OpenClipArchive = "open_clip_pytorch_model.bin";

    /// <summary>All layouts in order of preference: safetensors can be read without unpacking, and Hugging Face's files are more
    /// informative than open_clip's.</summary>
    public static IReadOnlyList<FolderLayout> All { get; } =
    [
        new(HuggingFaceConfig, SingleFile),
        new(HuggingFaceConfig, Index),
        new(OpenClipConfig, OpenClipFile),
        new(HuggingFaceConfig, Archive),
        new(OpenClipConfig, OpenClipArchive),
    ];

    /// <summary>Whether a file has open_clip's name for weights. These contain neither the activation nor the number of heads, which only
    /// the configuration next to them states.</summary>
    public static bool IsOpenClipWeights(string path) => Path.GetFileName(path) is OpenClipFile or OpenClipArchive;

    public bool IsOpenClip => Config == OpenClipConfig;

    public bool IsIndex => Weights == Index;

    public bool IsArchive => Weights is Archive or OpenClipArchive;

    /// <summary>The preferred layout of those whose files are present; null if there is none.</summary>
    /// <param name="has">Whether a file of the given name exists.</param>
    /// <param name="huggingFaceConfig">The path of config.json, read only if an open_clip layout is present too; null if there is no such
    /// file.</param>
    public static FolderLayout? Choose(Func<string, bool> has, string? huggingFaceConfig)
    {
        FolderLayout[] present = [.. All.Where(layout => has(layout.Config) && has(layout.Weights))];
        // A repository may contain another image model's config.json next to open_clip's files.
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
            // JsonException means invalid JSON, and InvalidOperationException invalid UTF-8.
            return false; // open_clip's configuration is used instead; if it is broken too, its reader reports that
        }
    }
}

/// <summary>Identifies a file and its state without reading its content.</summary>
/// <param name="FullPath">Absolute path.</param>
/// <param name="Length">The length in bytes.</param>
/// <param name="LastWriteUtc">The time of the last write.</param>
internal sealed record FileStamp(string FullPath, long Length, DateTime LastWriteUtc)
{
    /// <summary>The stamp as text that is the same in every culture and differs where the stamps do.</summary>
    public string Key => FormattableString.Invariant($"{FullPath}|{Length}|{LastWriteUtc.Ticks}");

    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    public static FileStamp Read(string path)
    {
        // The length is that of the open file, because the path may be a symbolic link, as in Hugging Face's cache, with a length of its
        // own.
        using var file = File.OpenHandle(path);
        return new FileStamp(Path.GetFullPath(path), RandomAccess.GetLength(file), File.GetLastWriteTimeUtc(file));
    }

    /// <exception cref="IOException">The file has changed since this stamp was created.</exception>
    public void ThrowIfChanged()
    {
        if (Read(FullPath) != this)
            throw new IOException($"{FullPath} has changed since the CLIP was opened; open it again.");
    }
}
