using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>
/// A reference to a CLIP on disk. Opening checks every file, name and shape but reads no weights, so it is cheap; the weights are read when
/// first needed and are shared within the process. If a model zip contained the CLIP, its weights are in memory instead, until the model is
/// disposed.
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

    /// <summary>Creates a CLIP from the content of a model zip.</summary>
    /// <param name="name">The name of the CLIP that the model was trained with.</param>
    /// <param name="config">The configuration.</param>
    /// <param name="carried">The weights; they stay in memory until the result of the last <see cref="Hold"/> is disposed.</param>
    internal ClipBackbone(string name, ClipConfig config, CarriedClip carried) => (Name, Config, _source) = (name, config, carried);

    /// <summary>The name of the folder or the weights file; for a CLIP that was opened by its name on the hub, its repository.</summary>
    public string Name { get; }

    /// <summary>The full path of the folder or the weights file; <c>null</c> if this CLIP came in a model zip.</summary>
    public string? Location { get; }

    /// <summary>The configuration: the shape of both towers.</summary>
    public ClipConfig Config { get; }

    /// <summary>
    /// SHA-256 of the weights file, 64 lower-case hexadecimal digits; for weights in several files, SHA-256 over the files' SHA-256 values
    /// (32 bytes each) in the order of their names. The first call reads all weights, which every fit does at its start; for a file in the
    /// hub's cache it also checks the hash.
    /// </summary>
    /// <exception cref="IOException">A weights file is missing or has changed since this object was created.</exception>
    /// <exception cref="InvalidDataException">A file in the hub's cache does not match its hash, so it has been damaged on
    /// disk.</exception>
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

    /// <summary>Whether this CLIP comes from the package Microsoft.ML.Dpl.TinyClip, so that any application that references the package
    /// finds it.</summary>
    internal bool IsTiny => Name.StartsWith(TinyAssembly, StringComparison.Ordinal);

    /// <summary>Makes this CLIP available to all models that this process loads, in any <c>MLContext</c>: a model zip identifies its CLIP
    /// by SHA-256 and need not contain it.</summary>
    public void Register() => BackboneLocator.Register(this);

    /// <summary>Whether the text tower is available, which training and new classes need; only a CLIP from a model zip may lack
    /// it.</summary>
    public bool HasTextTower => _source.HasText;

    /// <summary>The files of a CLIP on disk; <c>null</c> if it came in a model zip.</summary>
    internal ClipFiles? Files => _source as ClipFiles;

    /// <summary>The name for <see cref="Tiny"/> in <see cref="Open"/>.</summary>
    public const string TinyName = "tiny";

    /// <summary>The name for <see cref="TinyDrawn"/> in <see cref="Open"/>.</summary>
    public const string TinyDrawnName = "tiny-drawn";

    private const string DrawnFolder = "model-drawn";

    /// <summary>The small CLIP of the package Microsoft.ML.Dpl.TinyClip: for photographs and drawings where downloads are not possible, and
    /// for experiments. The package's README is the model card, which describes the training data and the accuracy.</summary>
    /// <exception cref="FileNotFoundException">The application does not reference that package.</exception>
    public static ClipBackbone Tiny => EmbeddedBackbone.TryOpen(TinyAssembly) ?? throw NoTinyAssembly(nameof(Tiny));

    /// <summary>The even smaller CLIP of the same package, trained only on drawn images: for tests, and for models that were trained with
    /// it when it was <see cref="Tiny"/>.</summary>
    /// <exception cref="FileNotFoundException">The application does not reference that package.</exception>
    public static ClipBackbone TinyDrawn => EmbeddedBackbone.TryOpen(TinyAssembly, DrawnFolder) ?? throw NoTinyAssembly(nameof(TinyDrawn));

    /// <summary>The CLIPs of the package Microsoft.ML.Dpl.TinyClip; none if the application does not reference it.</summary>
    internal static IEnumerable<ClipBackbone> Embedded() =>
        new[] { EmbeddedBackbone.DefaultFolder, DrawnFolder }
            .Select(model => EmbeddedBackbone.TryOpen(TinyAssembly, model))
            .OfType<ClipBackbone>();

    private static FileNotFoundException NoTinyAssembly(string name) =>
        new($"ClipBackbone.{name} comes with the NuGet package {TinyAssembly}: add it to the application's project.");

    /// <summary>
    /// Opens a CLIP by its name on Hugging Face's hub, downloading it first if it is not cached. The cache is shared with Hugging Face's
    /// own tools and has their layout, so each finds what the other has downloaded. If the hub cannot be reached, a cached revision is
    /// used.
    /// </summary>
    /// <param name="name">A repository such as <c>openai/clip-vit-base-patch16</c> or <c>laion/CLIP-ViT-B-16-laion2B-s34B-b88K</c>, or a
    /// short name of <see cref="KnownClip.All"/> such as <c>ViT-B/16</c>.</param>
    /// <param name="options">Revision, cache, token, progress; <c>null</c> for the defaults and the environment variables.</param>
    /// <param name="cancellationToken">Cancels the download; the data received so far is kept, and the next call resumes from
    /// there.</param>
    /// <returns>The reference.</returns>
    /// <exception cref="HubException">The model could not be obtained; <see cref="HubException.Failure"/> and the message say
    /// why.</exception>
    /// <exception cref="ArgumentException">The name is not valid, or an option is out of range.</exception>
    /// <exception cref="InvalidDataException">The model is not a CLIP with a vision transformer.</exception>
    /// <exception cref="OperationCanceledException">The download was cancelled.</exception>
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

    /// <summary>The synchronous version of <see cref="FromPretrainedAsync"/>.</summary>
    /// <param name="name">As for <see cref="FromPretrainedAsync"/>.</param>
    /// <param name="options">As for <see cref="FromPretrainedAsync"/>.</param>
    /// <param name="cancellationToken">As for <see cref="FromPretrainedAsync"/>.</param>
    /// <returns>The reference.</returns>
    /// <exception cref="HubException">As for <see cref="FromPretrainedAsync"/>.</exception>
    /// <exception cref="InvalidDataException">As for <see cref="FromPretrainedAsync"/>.</exception>
    public static ClipBackbone FromPretrained(string name, HubOptions? options = null, CancellationToken cancellationToken = default) =>
        // On the thread pool, because blocking in a caller's synchronization context would deadlock.
        Task.Run(() => FromPretrainedAsync(name, options, cancellationToken), CancellationToken.None).GetAwaiter().GetResult();

    /// <summary>
    /// Opens a folder in Hugging Face's layout: config.json, model.safetensors (or its index and shards, or pytorch_model.bin as written by
    /// torch.save since PyTorch 1.6), vocab.json and merges.txt (or tokenizer.json) and, if present, processor_config.json or
    /// preprocessor_config.json; or a folder in open_clip's layout: open_clip_config.json, open_clip_model.safetensors (or
    /// open_clip_pytorch_model.bin) and the same vocabulary.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <returns>The reference.</returns>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="FileNotFoundException">A file is missing in the folder.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or the model is not a CLIP with a vision transformer.</exception>
    public static ClipBackbone FromFolder(string folder)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        string location = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        if (!Directory.Exists(location))
            throw new DirectoryNotFoundException($"There is no folder '{location}'.");
        return InFolder(Path.GetFileName(location), location);
    }

    /// <summary>
    /// Opens a single file with OpenAI's parameter names: a .safetensors file, or an archive as published by OpenAI (.pt; only the weights
    /// are read, the code is not executed). Such a file contains no configuration, so quick GELU and 64 floats per attention head are
    /// assumed. Neither does it contain a vocabulary.
    /// </summary>
    /// <param name="weightsPath">The weights.</param>
    /// <param name="vocabularyPath">
    /// bpe_simple_vocab_16e6.txt.gz, vocab.json (with merges.txt in the same folder), tokenizer.json, or a folder with one of these.
    /// <c>null</c> for the vocabulary in the folder of the weights, or else that of any CLIP in <see cref="KnownClip.All"/> in the hub's
    /// cache, if the weights have 49,408 tokens.
    /// </param>
    /// <returns>The reference.</returns>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">The weights are damaged; they are not a CLIP with a vision transformer with OpenAI's names;
    /// or they are open_clip's, which need their configuration.</exception>
    public static ClipBackbone FromOpenAI(string weightsPath, string? vocabularyPath = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(weightsPath);
        string location = Path.GetFullPath(weightsPath);
        if (!File.Exists(location))
            throw new FileNotFoundException($"There is no weights file '{location}'.", location);
        if (FolderLayout.IsOpenClipWeights(location))
            throw new InvalidDataException(
                $"'{location}' is one of open_clip's files, whose activation only {FolderLayout.OpenClipConfig} names: put that file "
                    + "beside it and open the folder. If these are OpenAI's own weights, rename the file."
            );
        VocabularyFiles vocabulary = vocabularyPath is null ? VocabularyFor(location) : VocabularyFiles.Named(vocabularyPath);
        return new ClipBackbone(
            Path.GetFileName(location),
            location,
            ClipFiles.InOpenAILayout(location, vocabulary),
            OpenAIConfig.FromShapes
        );
    }

    /// <summary>Opens a CLIP on this machine: a folder like <see cref="FromFolder"/>, or a single file like <see cref="FromOpenAI"/>
    /// without a vocabulary path. For an open_clip weights file with its configuration next to it, the folder is opened. Never accesses the
    /// hub, unlike <see cref="FromPretrained"/>.</summary>
    /// <param name="path">The folder, or a .safetensors or .pt file; or <c>tiny</c> for <see cref="Tiny"/> and <c>tiny-drawn</c> for
    /// <see cref="TinyDrawn"/>, if there is no folder of that name.</param>
    /// <returns>The reference.</returns>
    /// <exception cref="FileNotFoundException">There is nothing at <paramref name="path"/>, or a file of the model is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged or of an unsupported kind, or the model is not a CLIP with a vision
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

    /// <summary>The files on disk that this CLIP is read from, weights first; empty if it came in a model zip.</summary>
    public IReadOnlyList<string> FilePaths =>
        Files is { } files
            ?
            [
                .. files.Weights.Select(w => w.FullPath),
                .. ((string?[])[files.IndexPath, files.VocabularyPath, files.MergesPath, files.ConfigPath, files.PreprocessorConfigPath])
                    .OfType<string>()
                    .Distinct(),
            ]
            : [];

    /// <summary>A note for the user if the folder has no preprocessing file; null if it has one, or if the layout has no such
    /// file.</summary>
    internal string? PreprocessingNote =>
        Files is { IsOpenAILayout: false, PreprocessorConfigPath: null }
            ? $"'{Location}' has neither {ClipImageProcessorConfig.PartFile} nor {ClipImageProcessorConfig.AloneFile}, so images are "
                + "prepared as for OpenAI's CLIPs. Copy the file of this CLIP there if it needs another size, mean or deviation."
            : null;

    /// <summary>Reads the image preprocessing of this CLIP.</summary>
    /// <returns>The preprocessing.</returns>
    /// <exception cref="InvalidDataException">The configuration specifies preprocessing that this library does not support.</exception>
    public ClipImageProcessorConfig ReadPreprocessing() => _source.ReadImageProcessor(Config.ImageSize);

    /// <summary>The image tower on a device, shared by all callers that rent it for that device.</summary>
    /// <exception cref="IOException">A weights file is missing or has changed since this object was created.</exception>
    internal Lease<ImageWeights> RentImageTower(Device device) => _source.RentImageTower(Config, device);

    /// <summary>The text tower on a device, shared by all callers that rent it for that device.</summary>
    /// <exception cref="IOException">A weights file is missing or has changed since this object was created.</exception>
    internal Lease<TextWeights> RentTextTower(Device device) => _source.RentTextTower(Config, device);

    /// <exception cref="IOException">A weights file is missing or has changed since this object was created.</exception>
    internal void RequireUnchanged() => _source.RequireUnchanged();

    /// <summary>Keeps weights that exist only in memory until the result is disposed; null if the weights can be read again.</summary>
    /// <exception cref="IOException">The weights have been disposed.</exception>
    internal IDisposable? Hold() => _source.Hold();

    /// <summary>The tokenizer of this CLIP's vocabulary.</summary>
    /// <exception cref="InvalidDataException">A vocabulary file is malformed.</exception>
    internal ClipTokenizer CreateTokenizer() => new(ReadVocabulary());

    /// <summary>The tokens and merges.</summary>
    /// <exception cref="InvalidDataException">A vocabulary file is malformed.</exception>
    internal ClipVocabulary ReadVocabulary() => _source.ReadVocabulary();

    /// <summary>Creates the preprocessing of images for this CLIP. Its configuration is read once, so that training and prediction agree
    /// even if the file changes.</summary>
    /// <exception cref="InvalidDataException">The preprocessing file specifies preprocessing that this library does not
    /// support.</exception>
    internal ClipImageProcessor CreateImageProcessor() => new(_processor ??= _source.ReadImageProcessor(Config.ImageSize));
}
