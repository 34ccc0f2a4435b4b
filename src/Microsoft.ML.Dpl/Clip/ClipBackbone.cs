using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.TensorFiles;
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

    private readonly IClipSource _source;
    private readonly object _hashing = new();
    private string? _sha256;
    private ClipImageProcessorConfig? _processor;

    private ClipBackbone(string name, string location, ClipFiles files, Func<ITensorSource, ClipConfig> readConfig)
    {
        (Name, Location, _source) = (name, location, files);
        using (ITensorSource source = files.OpenWeights())
        {
            Config = readConfig(source);
            ClipWeightsReader.Check(source, files.Naming, Config);
        }
        files.RequireTokenizer();
    }

    /// <summary>A CLIP that a model zip carried.</summary>
    /// <param name="name">Its name where the model was trained.</param>
    /// <param name="config">Its shape.</param>
    /// <param name="carried">Its weights; they stay until the last <see cref="Hold"/> is disposed.</param>
    internal ClipBackbone(string name, ClipConfig config, CarriedClip carried) => (Name, Config, _source) = (name, config, carried);

    /// <summary>The name of the folder or of the weights file; of a CLIP that was opened by its name on the hub, its repository.</summary>
    public string Name { get; }

    /// <summary>The full path of the folder or of the weights file; <c>null</c> where a model zip carried this CLIP.</summary>
    public string? Location { get; }

    /// <summary>The model's shape.</summary>
    public ClipConfig Config { get; }

    /// <summary>
    /// SHA-256 of the weights file, 64 lower-case hexadecimal digits; for weights in several files, SHA-256 over the files' SHA-256 values
    /// (32 bytes each) in the order of their names. The first call, which every fit makes at its beginning, reads the whole file; of a file
    /// in the hub's cache it also checks the hash.
    /// </summary>
    /// <exception cref="IOException">A weights file is gone or has changed since this object was made.</exception>
    /// <exception cref="InvalidDataException">A file of the hub's cache is not what its hash says: it was damaged on the disk.</exception>
    public string Sha256
    {
        get
        {
            lock (_hashing)
                return _sha256 ??= _source.HashWeights();
        }
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Name} ({Location ?? "carried by the model zip"})";

    /// <summary>Whether an application finds it by itself wherever it references the package.</summary>
    internal bool IsTiny => Name.StartsWith(TinyAssembly, StringComparison.Ordinal);

    /// <summary>Makes this CLIP known to every model that this process loads, whatever its <c>MLContext</c>: a model zip names its CLIP by
    /// SHA-256 and need not contain it.</summary>
    public void Register() => BackboneLocator.Register(this);

    /// <summary>Whether the text tower is there, which training and new classes need; only the CLIP of a model zip may lack it.</summary>
    public bool HasTextTower => _source.HasText;

    /// <summary>The files of a CLIP on disk; <c>null</c> where a model zip carried it.</summary>
    internal ClipFiles? Files => _source as ClipFiles;

    /// <summary>The name by which <see cref="Open"/> knows <see cref="Tiny"/>.</summary>
    public const string TinyName = "tiny";

    /// <summary>The name by which <see cref="Open"/> knows <see cref="TinyDrawn"/>.</summary>
    public const string TinyDrawnName = "tiny-drawn";

    private const string DrawnFolder = "model-drawn";

    /// <summary>The small CLIP of the package Microsoft.ML.Dpl.TinyClip: for photographs and drawings where nothing may be downloaded, and
    /// for trying things out. Its card, the package's README, says what it has seen and how well it knows it.</summary>
    /// <exception cref="FileNotFoundException">The application does not reference that package.</exception>
    public static ClipBackbone Tiny => EmbeddedBackbone.TryOpen(TinyAssembly) ?? throw NoTinyAssembly(nameof(Tiny));

    /// <summary>The still smaller CLIP of the same package, which was trained on drawn images only: for tests, and for models that were
    /// trained on it when it was <see cref="Tiny"/>.</summary>
    /// <exception cref="FileNotFoundException">The application does not reference that package.</exception>
    public static ClipBackbone TinyDrawn => EmbeddedBackbone.TryOpen(TinyAssembly, DrawnFolder) ?? throw NoTinyAssembly(nameof(TinyDrawn));

    /// <summary>The CLIPs that the application has by a package; none where it does not reference that.</summary>
    internal static IEnumerable<ClipBackbone> Embedded() =>
        new[] { EmbeddedBackbone.DefaultFolder, DrawnFolder }
            .Select(model => EmbeddedBackbone.TryOpen(TinyAssembly, model))
            .OfType<ClipBackbone>();

    private static FileNotFoundException NoTinyAssembly(string name) =>
        new($"ClipBackbone.{name} comes with the NuGet package {TinyAssembly}: add it to the application's project.");

    /// <summary>
    /// Opens a CLIP by its name on Hugging Face's hub, and downloads it first where the cache does not have it.
    /// The cache is the one that Hugging Face's own tools use, in their layout, so each finds what the other downloaded.
    /// A hub that cannot be reached is not needed for a revision that is in the cache.
    /// </summary>
    /// <param name="name">A repository such as <c>openai/clip-vit-base-patch16</c> or <c>laion/CLIP-ViT-B-16-laion2B-s34B-b88K</c>, or a
    /// short name of <see cref="KnownClip.All"/> such as <c>ViT-B/16</c>.</param>
    /// <param name="options">Revision, cache, token, progress; <c>null</c>: the defaults and the environment.</param>
    /// <param name="cancellationToken">Cancellation of the download; what arrived is kept, and the next call continues from there.</param>
    /// <returns>The reference.</returns>
    /// <exception cref="HubException">The model could not be obtained; <see cref="HubException.Failure"/> and the message say
    /// why.</exception>
    /// <exception cref="ArgumentException">It is not a name, or an option is out of range.</exception>
    /// <exception cref="InvalidDataException">It is not a CLIP with a vision transformer.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static async Task<ClipBackbone> FromPretrainedAsync(
        string name,
        HubOptions? options = null,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        var (repository, folder) = await ClipDownload.FetchAsync(name, HubSettings.From(options), cancellationToken).ConfigureAwait(false);
        return InFolder(repository, folder);
    }

    /// <summary>As <see cref="FromPretrainedAsync"/>, and waits for it.</summary>
    /// <param name="name">As for <see cref="FromPretrainedAsync"/>.</param>
    /// <param name="options">As for <see cref="FromPretrainedAsync"/>.</param>
    /// <param name="cancellationToken">As for <see cref="FromPretrainedAsync"/>.</param>
    /// <returns>The reference.</returns>
    /// <exception cref="HubException">As for <see cref="FromPretrainedAsync"/>.</exception>
    /// <exception cref="InvalidDataException">As for <see cref="FromPretrainedAsync"/>.</exception>
    public static ClipBackbone FromPretrained(string name, HubOptions? options = null, CancellationToken cancellationToken = default) =>
        // On the thread pool, since a caller's synchronization context would wait for itself.
        Task.Run(() => FromPretrainedAsync(name, options, cancellationToken), CancellationToken.None).GetAwaiter().GetResult();

    /// <summary>
    /// Opens a folder in Hugging Face's layout: config.json, model.safetensors (or its index and shards, or pytorch_model.bin as torch.save
    /// writes it since 1.6), vocab.json and merges.txt (or tokenizer.json) and, if present, processor_config.json or
    /// preprocessor_config.json; or in open_clip's: open_clip_config.json, open_clip_model.safetensors (or open_clip_pytorch_model.bin)
    /// and the same vocabulary.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <returns>The reference.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">A file is missing from it.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or it is not a CLIP with a vision transformer.</exception>
    public static ClipBackbone FromFolder(string folder)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        string location = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        if (!Directory.Exists(location))
            throw new DirectoryNotFoundException($"There is no folder '{location}'.");
        return InFolder(Path.GetFileName(location), location);
    }

    /// <summary>
    /// Opens a single file with OpenAI's parameter names: a .safetensors file, or an archive as OpenAI published them (.pt; the weights are
    /// read, its code is not). Such a file carries no configuration: quick GELU and 64 floats per attention head are assumed. Nor does it
    /// carry a vocabulary.
    /// </summary>
    /// <param name="weightsPath">The weights.</param>
    /// <param name="vocabularyPath">
    /// bpe_simple_vocab_16e6.txt.gz, vocab.json (with merges.txt beside it), tokenizer.json, or a folder with one of these.
    /// <c>null</c>: what lies beside the weights, or else the vocabulary of one of OpenAI's CLIPs in the hub's cache, if the weights have
    /// its 49,408 tokens.
    /// </param>
    /// <returns>The reference.</returns>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">The weights are damaged, no CLIP with a vision transformer in OpenAI's names, or open_clip's,
    /// which need their configuration.</exception>
    public static ClipBackbone FromOpenAI(string weightsPath, string? vocabularyPath = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(weightsPath);
        string location = Path.GetFullPath(weightsPath);
        if (!File.Exists(location))
            throw new FileNotFoundException($"There is no weights file '{location}'.", location);
        if (FolderLayout.IsOpenClipWeights(location))
            throw new InvalidDataException(
                $"'{location}' is one of open_clip's files, whose activation only {FolderLayout.OpenClipConfig} tells: put that one "
                    + "beside it and open the folder. If these are OpenAI's own weights, give the file another name."
            );
        VocabularyFiles vocabulary = vocabularyPath is null ? VocabularyFor(location) : VocabularyFiles.Named(vocabularyPath);
        return new ClipBackbone(
            Path.GetFileName(location),
            location,
            ClipFiles.InOpenAILayout(location, vocabulary),
            OpenAIConfig.FromShapes
        );
    }

    /// <summary>Opens what lies on this machine: a folder as <see cref="FromFolder"/> does, or a single file as <see cref="FromOpenAI"/>
    /// does with the vocabulary beside it; one of open_clip's with its configuration beside it stands for its folder. Never asks the hub;
    /// <see cref="FromPretrained"/> does.</summary>
    /// <param name="path">The folder, or a .safetensors or .pt file; or <c>tiny</c> for <see cref="Tiny"/> and <c>tiny-drawn</c> for
    /// <see cref="TinyDrawn"/>, where no folder has that name.</param>
    /// <returns>The reference.</returns>
    /// <exception cref="FileNotFoundException">There is nothing at <paramref name="path"/>, or a file that belongs to it is
    /// missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged or of another kind, or it is not a CLIP with a vision
    /// transformer.</exception>
    public static ClipBackbone Open(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        if (Directory.Exists(path))
            return FromFolder(path);
        if (path == TinyName)
            return Tiny;
        if (path == TinyDrawnName)
            return TinyDrawn;
        if (!File.Exists(path))
            throw new FileNotFoundException($"There is no file or folder '{path}'.", path);
        if (Path.GetExtension(path).ToUpperInvariant() is not (".SAFETENSORS" or ".PT" or ".PTH" or ".BIN"))
            throw new InvalidDataException(
                $"'{path}' is neither a folder nor a .safetensors or .pt file; convert other checkpoints to safetensors first."
            );
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        return FolderLayout.IsOpenClipWeights(path) && File.Exists(Path.Combine(folder, FolderLayout.OpenClipConfig))
            ? FromFolder(folder)
            : FromOpenAI(path);
    }

    private static ClipBackbone InFolder(string name, string folder)
    {
        var (files, config) = ClipFiles.InFolder(folder);
        return new ClipBackbone(name, folder, files, config);
    }

    private static VocabularyFiles VocabularyFor(string weights)
    {
        string folder = Path.GetDirectoryName(weights)!;
        if (VocabularyFiles.TryIn(folder) is { } beside)
            return beside;
        var none = new VocabularyFiles(Path.Combine(folder, VocabularyFiles.OpenAI), MergesPath: null);
        using ITensorSource source = ClipFiles.InOpenAILayout(weights, none).OpenWeights();
        return
            OpenAIConfig.FromShapes(source).VocabularySize == KnownClip.OpenAITokens
            && ClipDownload.CachedVocabulary(HubSettings.From(null)) is { } cached
            ? cached
            : none;
    }

    /// <summary>The files on disk that this CLIP is read from, weights first; none where a model zip carried it.</summary>
    public IReadOnlyList<string> FilePaths =>
        Files is { } files
            ?
            [
                .. files.Weights.Select(w => w.FullPath),
                .. ((string?[])[files.VocabularyPath, files.MergesPath, files.PreprocessorConfigPath]).OfType<string>(),
            ]
            : [];

    /// <summary>What a person should know of the preprocessing; null where a file says it, or no file can.</summary>
    internal string? PreprocessingNote =>
        Files is { IsOpenAILayout: false, PreprocessorConfigPath: null }
            ? $"'{Location}' has neither {ClipImageProcessorConfig.PartFile} nor {ClipImageProcessorConfig.AloneFile}, so images are "
                + "prepared as for OpenAI's CLIPs. Copy the file of this CLIP there if it wants another size, mean or deviation."
            : null;

    /// <summary>Reads what is done to images before this CLIP sees them.</summary>
    /// <returns>Its preprocessing.</returns>
    /// <exception cref="InvalidDataException">The configuration is one that this library does not support.</exception>
    public ClipImageProcessorConfig ReadPreprocessing() => _source.ReadImageProcessor(Config.ImageSize);

    /// <summary>The image tower on a device, shared with everyone who rents it there.</summary>
    /// <exception cref="IOException">A weights file is gone or has changed since this object was made.</exception>
    internal Lease<ImageWeights> RentImageTower(Device device) => _source.RentImageTower(Config, device);

    /// <summary>The text tower on a device, shared with everyone who rents it there.</summary>
    /// <exception cref="IOException">A weights file is gone or has changed since this object was made.</exception>
    internal Lease<TextWeights> RentTextTower(Device device) => _source.RentTextTower(Config, device);

    /// <exception cref="IOException">A weights file is gone or has changed since this object was made.</exception>
    internal void RequireUnchanged() => _source.RequireUnchanged();

    /// <summary>A share in weights that exist in memory only, which keeps them until it is disposed; null where they can be read
    /// again.</summary>
    /// <exception cref="IOException">The weights are gone.</exception>
    internal IDisposable? Hold() => _source.Hold();

    /// <summary>The tokenizer of this CLIP's vocabulary.</summary>
    /// <exception cref="InvalidDataException">A vocabulary file is malformed.</exception>
    internal ClipTokenizer CreateTokenizer() => new(ReadVocabulary());

    /// <summary>The tokens and merges.</summary>
    /// <exception cref="InvalidDataException">A vocabulary file is malformed.</exception>
    internal ClipVocabulary ReadVocabulary() => _source.ReadVocabulary();

    /// <summary>The preprocessing that makes images this CLIP's input; read once, so that training and prediction agree even if the file
    /// changes.</summary>
    /// <exception cref="InvalidDataException">preprocessor_config.json asks for a preprocessing that this library does not
    /// support.</exception>
    internal ClipImageProcessor CreateImageProcessor() => new(_processor ??= _source.ReadImageProcessor(Config.ImageSize));
}
