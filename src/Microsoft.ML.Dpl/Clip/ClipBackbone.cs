using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>
/// A reference to a CLIP on disk. Opening checks every file, name and shape but reads no weights, so it is cheap;
/// the weights are read when they are first needed and shared by all users in the process.
/// The CLIP of a model whose zip carried it lies in memory instead, until the model is disposed.
/// </summary>
public sealed class ClipBackbone
{
    private const string TinyAssembly = "Microsoft.ML.Dpl.TinyClip";
    private const string OpenAIVocabulary = "bpe_simple_vocab_16e6.txt.gz";

    private readonly IClipSource _source;
    private readonly object _hashing = new();
    private string? _sha256;
    private ClipImageProcessorConfig? _processor;

    private ClipBackbone(string location, ClipFiles files, Func<ITensorSource, ClipConfig> readConfig)
    {
        (Name, Location, _source) = (Path.GetFileName(location), location, files);
        using (ITensorSource source = files.OpenWeights())
        {
            Config = readConfig(source);
            ClipWeightsReader.Check(source, files.Naming, Config);
        }
        files.RequireTokenizer();
    }

    /// <summary>A CLIP that a model zip carried.</summary>
    /// <param name="name">As it was called where the model was trained.</param>
    /// <param name="config">Its shape.</param>
    /// <param name="carried">Its weights; they stay until the last <see cref="Hold"/> is disposed.</param>
    internal ClipBackbone(string name, ClipConfig config, CarriedClip carried) => (Name, Config, _source) = (name, config, carried);

    /// <summary>The name of the folder or of the weights file.</summary>
    public string Name { get; }

    /// <summary>The full path of the folder or of the weights file; <c>null</c> where a model zip carried this CLIP.</summary>
    public string? Location { get; }

    /// <summary>The model's shape.</summary>
    public ClipConfig Config { get; }

    /// <summary>
    /// SHA-256 of the weights file, 64 lower-case hexadecimal digits; for weights in several files, SHA-256 over the files' SHA-256 values (32 bytes each) in the order of their names.
    /// The first call reads the whole file.
    /// </summary>
    /// <exception cref="IOException">A weights file is gone or has changed since this object was made.</exception>
    public string Sha256
    {
        get
        {
            lock (_hashing) return _sha256 ??= _source.HashWeights();
        }
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Name} ({Location ?? "carried by the model zip"})";

    /// <summary>Whether the text branch is there, which training and new classes need; only the CLIP of a model zip may lack it.</summary>
    public bool HasTextBranch => _source.HasText;

    /// <summary>The files of a CLIP on disk; <c>null</c> where a model zip carried it.</summary>
    internal ClipFiles? Files => _source as ClipFiles;

    /// <summary>The name by which <see cref="Open"/> knows <see cref="Tiny"/>.</summary>
    public const string TinyName = "tiny";

    /// <summary>The small CLIP of the package Microsoft.ML.Dpl.TinyClip: trained on drawn pictures only, for trying things out and for tests.</summary>
    /// <exception cref="FileNotFoundException">The application does not reference that package.</exception>
    public static ClipBackbone Tiny => EmbeddedBackbone.TryOpen(TinyAssembly)
        ?? throw new FileNotFoundException($"ClipBackbone.Tiny comes with the NuGet package {TinyAssembly}: add it to the application's project.");

    /// <summary><see cref="Tiny"/>, or null where the application does not reference its package.</summary>
    internal static ClipBackbone? TryTiny() => EmbeddedBackbone.TryOpen(TinyAssembly);

    /// <summary>Opens a folder in Hugging Face's layout: config.json, model.safetensors (or its index and shards), vocab.json, merges.txt and, if present, preprocessor_config.json.</summary>
    /// <param name="folder">The folder.</param>
    /// <returns>The reference.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">A file is missing from it.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or it is no CLIP with a vision transformer.</exception>
    public static ClipBackbone FromFolder(string folder)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        string location = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)), config = Path.Combine(location, "config.json");
        if (!Directory.Exists(location)) throw new DirectoryNotFoundException($"There is no folder '{location}'.");
        if (!File.Exists(config)) throw new FileNotFoundException($"The folder '{location}' has no config.json, so it holds no CLIP in Hugging Face's layout.", config);
        ClipConfig read = ClipConfigReader.FromFile(config);
        return new ClipBackbone(location, ClipFiles.InFolder(location), _ => read);
    }

    /// <summary>Opens a single file with OpenAI's parameter names and OpenAI's vocabulary. Such a file carries no configuration: quick GELU and 64 floats per attention head are taken for granted.</summary>
    /// <param name="safetensorsPath">The weights.</param>
    /// <param name="vocabularyPath">bpe_simple_vocab_16e6.txt.gz.</param>
    /// <returns>The reference.</returns>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">The weights are damaged, or no CLIP with a vision transformer in OpenAI's names.</exception>
    public static ClipBackbone FromOpenAI(string safetensorsPath, string vocabularyPath)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(safetensorsPath);
        ArgumentException.ThrowIfNullOrWhiteSpace(vocabularyPath);
        string location = Path.GetFullPath(safetensorsPath);
        return new ClipBackbone(location, ClipFiles.InOpenAILayout(location, vocabularyPath), OpenAIConfig.FromShapes);
    }

    /// <summary>Opens a folder as <see cref="FromFolder"/> does, or a .safetensors file as <see cref="FromOpenAI"/> does with bpe_simple_vocab_16e6.txt.gz beside it.</summary>
    /// <param name="path">The folder or file; or <c>tiny</c> for <see cref="Tiny"/>, where no folder has that name.</param>
    /// <returns>The reference.</returns>
    /// <exception cref="FileNotFoundException">There is nothing at <paramref name="path"/>, or a file that belongs to it is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged or of another kind, or it is no CLIP with a vision transformer.</exception>
    public static ClipBackbone Open(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        if (Directory.Exists(path)) return FromFolder(path);
        if (path == TinyName) return Tiny;
        if (!File.Exists(path)) throw new FileNotFoundException($"There is no file or folder '{path}'.", path);
        if (!path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase))
            throw new InvalidDataException($"'{path}' is neither a folder nor a .safetensors file; convert other checkpoints to safetensors first.");
        return FromOpenAI(path, Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, OpenAIVocabulary));
    }

    /// <summary>The image branch on a device, shared with everyone who rents it there.</summary>
    /// <exception cref="IOException">A weights file is gone or has changed since this object was made.</exception>
    internal Lease<VisionWeights> RentVision(Device device) => _source.RentVision(Config, device);

    /// <summary>The text branch on a device, shared with everyone who rents it there.</summary>
    /// <exception cref="IOException">A weights file is gone or has changed since this object was made.</exception>
    internal Lease<TextWeights> RentText(Device device) => _source.RentText(Config, device);

    /// <exception cref="IOException">A weights file is gone or has changed since this object was made.</exception>
    internal void RequireUnchanged() => _source.RequireUnchanged();

    /// <summary>A share in weights that exist in memory only, which keeps them until it is disposed; null where they can be read again.</summary>
    /// <exception cref="IOException">The weights are gone.</exception>
    internal IDisposable? Hold() => _source.Hold();

    /// <summary>The tokenizer of this CLIP's vocabulary.</summary>
    /// <exception cref="InvalidDataException">A vocabulary file is malformed.</exception>
    internal ClipTokenizer CreateTokenizer() => new(ReadVocabulary());

    /// <summary>The tokens and merges.</summary>
    /// <exception cref="InvalidDataException">A vocabulary file is malformed.</exception>
    internal ClipVocabulary ReadVocabulary() => _source.ReadVocabulary();

    /// <summary>What makes pictures into this CLIP's input; read once, so that training and prediction agree whatever becomes of the file.</summary>
    /// <exception cref="InvalidDataException">preprocessor_config.json asks for what this library does not do.</exception>
    internal ClipImageProcessor CreateImageProcessor() => new(_processor ??= _source.ReadImageProcessor(Config.ImageSize));
}
