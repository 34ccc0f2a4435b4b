using System.Security.Cryptography;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>The files that make up a CLIP on disk, in Hugging Face's layout or OpenAI's.</summary>
internal sealed class ClipFiles : IClipSource
{
    private const string SingleFile = "model.safetensors", Index = "model.safetensors.index.json";

    private readonly string? _index;

    private ClipFiles(IReadOnlyList<string> weights, string? index, string vocabulary, string? merges, string? preprocessor)
    {
        (_index, VocabularyPath, MergesPath, PreprocessorConfigPath) = (index, vocabulary, merges, preprocessor);
        Weights = [.. weights.Select(FileStamp.Of)];
    }

    /// <summary>The weight files as they were on opening, in the order of their names.</summary>
    public IReadOnlyList<FileStamp> Weights { get; }

    /// <summary>vocab.json, or bpe_simple_vocab_16e6.txt.gz in OpenAI's layout.</summary>
    public string VocabularyPath { get; }

    /// <summary>merges.txt; none in OpenAI's layout.</summary>
    public string? MergesPath { get; }

    public string? PreprocessorConfigPath { get; }

    public bool IsOpenAILayout => MergesPath is null;

    public bool HasText => true;

    public ClipNaming Naming => IsOpenAILayout ? ClipNaming.OpenAI : ClipNaming.HuggingFace;

    /// <exception cref="FileNotFoundException">Weights are missing.</exception>
    public static ClipFiles InFolder(string folder)
    {
        string In(string name) => Path.Combine(folder, name);
        string vocabulary = In("vocab.json"), merges = In("merges.txt"), preprocessor = In("preprocessor_config.json");
        string? index = File.Exists(In(SingleFile)) ? null : In(Index);
        if (index is not null && !File.Exists(index))
        {
            string advice = File.Exists(In("pytorch_model.bin")) ? "It has pytorch_model.bin, which must be converted to safetensors first." : "Download them from the model's page.";
            throw new FileNotFoundException($"The folder '{folder}' has neither {SingleFile} nor {Index}. {advice}", In(SingleFile));
        }
        return new ClipFiles(index is null ? [In(SingleFile)] : PresentShards(index), index, vocabulary, merges, File.Exists(preprocessor) ? preprocessor : null);
    }

    /// <exception cref="FileNotFoundException">There is no such weights file.</exception>
    public static ClipFiles InOpenAILayout(string weights, string vocabulary)
    {
        if (!File.Exists(weights)) throw new FileNotFoundException($"There is no weights file '{weights}'.", weights);
        return new ClipFiles([weights], index: null, Path.GetFullPath(vocabulary), merges: null, preprocessor: null);
    }

    /// <summary>Opens the weights; only their headers are read.</summary>
    /// <exception cref="InvalidDataException">A file is invalid.</exception>
    /// <exception cref="IOException">A file has changed since this object was made.</exception>
    public ITensorSource OpenWeights()
    {
        RequireUnchanged();
        return _index is null ? SafetensorsFile.Open(Weights[0].FullPath) : ShardedSafetensors.Open(_index);
    }

    /// <inheritdoc/>
    public Lease<VisionWeights> RentVision(ClipConfig config, Device device) => Rent(config, device, source => ClipWeightsReader.ReadVision(source, Naming, config, device));

    /// <inheritdoc/>
    public Lease<TextWeights> RentText(ClipConfig config, Device device) => Rent(config, device, source => ClipWeightsReader.ReadText(source, Naming, config, device));

    /// <inheritdoc/>
    public ClipVocabulary ReadVocabulary() => MergesPath is { } merges ? ClipVocabulary.ReadHuggingFace(VocabularyPath, merges) : ClipVocabulary.ReadOpenAI(VocabularyPath);

    /// <inheritdoc/>
    public ClipImageProcessorConfig ReadImageProcessor(int imageSize)
        => PreprocessorConfigPath is { } path ? ClipImageProcessorConfig.Read(path, imageSize) : ClipImageProcessorConfig.Default(imageSize);

    public IDisposable? Hold() => null;

    /// <exception cref="IOException">A weights file is gone or has changed since this object was made.</exception>
    public void RequireUnchanged()
    {
        foreach (FileStamp file in Weights) file.ThrowIfChanged();
    }

    /// <exception cref="FileNotFoundException">A file of the tokenizer is missing.</exception>
    public void RequireTokenizer()
    {
        foreach (string path in new[] { VocabularyPath, MergesPath }.OfType<string>())
        {
            if (File.Exists(path)) continue;
            string advice = IsOpenAILayout ? "It comes with OpenAI's CLIP source code." : "A CLIP's folder has both vocab.json and merges.txt; download them from the model's page.";
            throw new FileNotFoundException($"The tokenizer's file '{path}' is missing. {advice}", path);
        }
    }

    /// <summary>Lower-case hexadecimal SHA-256 of the weights file; of several, SHA-256 over their SHA-256 values (32 bytes each) in the order of their names.</summary>
    /// <exception cref="IOException">A file has changed since this object was made.</exception>
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
        return hash;
    }

    private static IReadOnlyList<string> PresentShards(string index)
    {
        // Opening names every shard that is missing, not only the first.
        using ShardedSafetensors source = ShardedSafetensors.Open(index);
        return ShardedSafetensors.ShardPaths(index);
    }
}
