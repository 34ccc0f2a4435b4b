using System.Security.Cryptography;
using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Clip;

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
        Weights = [.. weights.Select(FileStamp.Of)];
    }

    /// <summary>The weight files as they were on opening, in the order of their names.</summary>
    public IReadOnlyList<FileStamp> Weights { get; }

    /// <summary>vocab.json, tokenizer.json or bpe_simple_vocab_16e6.txt.gz.</summary>
    public string VocabularyPath => _vocabulary.Path;

    /// <summary>merges.txt; null where the vocabulary is one file.</summary>
    public string? MergesPath => _vocabulary.MergesPath;

    /// <summary>preprocessor_config.json, or open_clip's configuration; null where there is none.</summary>
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
            openClip = In(FolderLayout.OpenClipConfig),
            preprocessor = In("preprocessor_config.json");
        if (!File.Exists(config) && !File.Exists(openClip))
            throw new FileNotFoundException(
                $"The folder '{folder}' has no config.json, so it holds no CLIP in Hugging Face's layout, nor "
                    + $"{FolderLayout.OpenClipConfig} as open_clip's has.",
                config
            );
        // Checkpoints from before torch 1.6 are no zip and would have to be executed.
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
            return (new ClipFiles(files, weights, ClipNaming.HuggingFace, vocabulary, File.Exists(preprocessor) ? preprocessor : null), _ =>
                read
            );
        }
        ClipConfig shape = OpenClipConfigReader.FromFile(openClip);
        using ITensorSource source = Open(weights);
        return (new ClipFiles(files, weights, ClipNaming.OfOpenClip(source), vocabulary, openClip), _ => shape);
    }

    /// <param name="weights">A .safetensors file or an archive of PyTorch.</param>
    /// <param name="vocabulary">Need not exist yet; <see cref="RequireTokenizer"/> asks for it.</param>
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
    public Lease<VisionWeights> RentVision(ClipConfig config, Device device) =>
        Rent(config, device, source => ClipWeightsReader.ReadVision(source, Naming, config, device));

    /// <inheritdoc/>
    public Lease<TextWeights> RentText(ClipConfig config, Device device) =>
        Rent(config, device, source => ClipWeightsReader.ReadText(source, Naming, config, device));

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
        byte[][] hashes = [.. Weights.Select(Hash)];
        return Convert.ToHexString(hashes.Length == 1 ? hashes[0] : SHA256.HashData([.. hashes.SelectMany(h => h)])).ToLowerInvariant();
    }

    private Lease<T> Rent<T>(ClipConfig config, Device device, Func<ITensorSource, T> read)
        where T : class, IDisposable
    {
        // "cuda" and "cuda:0" are one device, and so are all spellings of the CPU.
        int ordinal = device.type == DeviceType.CPU ? 0 : Math.Max(0, device.index);
        var key = (typeof(T), device.type, ordinal, string.Join('\n', Weights), config);
        return SharedWeights.Rent(key, () =>
        {
            using ITensorSource source = OpenWeights();
            return read(source);
        });
    }

    private static byte[] Hash(FileStamp file)
    {
        using FileStream stream = File.OpenRead(file.FullPath);
        byte[] hash = SHA256.HashData(stream);
        file.ThrowIfChanged();
        if (
            HubCache.Sha256Of(file.FullPath) is { } expected
            && !Convert.ToHexString(hash).Equals(expected, StringComparison.OrdinalIgnoreCase)
        )
            throw new InvalidDataException(
                $"{file.FullPath}: the content is not what the hub's cache keeps it as (SHA-256 {expected}), so it was damaged on the "
                    + $"disk. Delete '{File.ResolveLinkTarget(file.FullPath, returnFinalTarget: true)?.FullName}' and download the "
                    + "model again."
            );
        return hash;
    }

    /// <summary>Opens a .safetensors file, the index of several, or an archive of PyTorch.</summary>
    private static ITensorSource Open(string path) =>
        Path.GetExtension(path).ToUpperInvariant() switch
        {
            ".SAFETENSORS" => SafetensorsFile.Open(path),
            ".JSON" => ShardedSafetensors.Open(path),
            _ => TorchArchive.Open(path),
        };

    private static FileNotFoundException NoWeights(string folder)
    {
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
