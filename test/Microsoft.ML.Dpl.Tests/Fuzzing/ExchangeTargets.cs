using System.Buffers.Binary;
using System.IO.Compression;
using System.Text.Json;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Fuzzing;

/// <summary>The readers of files that come from Python: PyTorch's archives, numpy's arrays, prompts with alphas in one file and in a
/// folder, and the tokenizer.json of newer tokenizers.</summary>
/// <param name="folder">The folder for the cases' files; <see cref="ClipTargets"/> has written a CLIP there.</param>
internal sealed class ExchangeTargets(string folder)
{
    public IReadOnlyList<FuzzTarget> All { get; } =
    [TorchArchives(folder), Npy(), PromptsFile(folder), PromptsFolder(folder), Tokenizer(folder)];

    /// <summary>Damages either the whole archive, or one entry and packs all entries with correct checksums, so that the damage reaches the
    /// pickle reader.</summary>
    private static FuzzTarget TorchArchives(string folder)
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor>
        {
            ["a.weight"] = arange(6f, ScalarType.Float32).reshape(2, 3),
            ["a.bias"] = ones(2, ScalarType.Float16),
            ["scale"] = tensor(1.5f),
        };
        byte[][] seeds = [TorchZip.StateDictionary(tensors), TorchZip.Modules(tensors)];
        var whole = new Mutator(seeds);
        List<(string Name, byte[] Content)>[] entries = [.. seeds.Select(ZipBytes.Entries)];
        string path = Path.Combine(folder, "fuzzed.pt");
        return new FuzzTarget(
            "torch-archive",
            10,
            random =>
            {
                if (random.Next(4) == 0)
                    return whole.Next(random);
                List<(string Name, byte[] Content)> chosen = [.. entries[random.Next(entries.Length)]];
                // Mostly the pickle, as the other entries are tensor data.
                int pickle = chosen.FindIndex(entry => entry.Name.EndsWith("data.pkl", StringComparison.Ordinal)),
                    which = random.Next(4) == 0 ? random.Next(chosen.Count) : pickle;
                chosen[which] = (chosen[which].Name, new Mutator(chosen[which].Content).Next(random));
                return ZipBytes.Create(chosen, CompressionLevel.NoCompression);
            },
            bytes =>
            {
                File.WriteAllBytes(path, bytes);
                using var archive = TorchArchive.Open(path);
                foreach (string name in archive.Entries.Keys)
                    archive.Read(name).Dispose();
            },
            typeof(InvalidDataException)
        )
        {
            Whole = [.. seeds, ZipBytes.Create(entries[0], CompressionLevel.NoCompression)],
        };
    }

    /// <summary>Damages either the whole file, or only its header, which is then stored with its correct length.</summary>
    private static FuzzTarget Npy()
    {
        byte[][] seeds =
        [
            .. new[] { arange(6f, ScalarType.Float32).reshape(2, 3), ones(2, 2, 2, dtype: ScalarType.Float64), tensor(7L) }.Select(array =>
            {
                using var stream = new MemoryStream();
                using (array)
                    NpyFile.Write(stream, array);
                return stream.ToArray();
            }),
        ];
        const int start = 10; // magic, version and the header's length
        var whole = new Mutator(seeds);
        return new FuzzTarget(
            "npy",
            8,
            random =>
            {
                if (random.Next(2) == 0)
                    return whole.Next(random);
                byte[] seed = seeds[random.Next(seeds.Length)];
                int end = start + BinaryPrimitives.ReadUInt16LittleEndian(seed.AsSpan(8));
                byte[] header = new Mutator(seed[start..end]).Next(random);
                byte[] length = new byte[2];
                BinaryPrimitives.WriteUInt16LittleEndian(length, (ushort)Math.Min(header.Length, ushort.MaxValue));
                return [.. seed[..8], .. length, .. header, .. seed[end..]];
            },
            bytes =>
            {
                using var file = NpyFile.FromBytes(bytes, "fuzzed");
                file.Read().Dispose();
            },
            typeof(InvalidDataException)
        )
        {
            Whole = seeds,
        };
    }

    private static ExportedPrompts Prompts() =>
        new()
        {
            Text =
            [
                new float[,]
                {
                    { 1, 2 },
                    { 3, 4 },
                },
                null,
            ],
            Image =
            [
                null,
                new float[,]
                {
                    { 5, 6, 7 },
                },
            ],
            ClassNames = ["a", "b"],
            BackboneName = "c",
            BackboneSha256 = "00",
            ClassFeatures = new float[,]
            {
                { 1, 0 },
                { 0, 1 },
            },
            Alphas = new AlphaHistory([0, 2], new float[1, 2, 2], new float[1, 2, 2]),
            ApplyExifOrientation = true,
            MaxImagePixels = 1000,
            Threshold = 0.5,
        };

    private static FuzzTarget PromptsFile(string folder)
    {
        string path = Path.Combine(folder, "prompts.safetensors");
        Prompts().Save(path);
        byte[] whole = File.ReadAllBytes(path);
        return new FuzzTarget(
            "prompts-file",
            4,
            ClipTargets.DamagedSafetensors(whole),
            bytes =>
            {
                File.WriteAllBytes(path, bytes);
                _ = ExportedPrompts.Load(path).Configuration;
            },
            typeof(InvalidDataException)
        )
        {
            Whole = [whole],
        };
    }

    /// <summary>Damages one file of the folder; the first byte of a case is that file's index.</summary>
    private static FuzzTarget PromptsFolder(string folder)
    {
        string whole = Path.Combine(folder, "prompts");
        Prompts().Save(whole);
        (string Path, byte[] Content)[] files =
        [
            .. Directory.GetFiles(whole).Order(StringComparer.Ordinal).Select(path => (path, File.ReadAllBytes(path))),
        ];
        return new FuzzTarget(
            "prompts-folder",
            3,
            random =>
            {
                int which =
                    random.Next(3) == 0
                        ? Array.FindIndex(files, file => file.Path.EndsWith("metadata.json", StringComparison.Ordinal))
                        : random.Next(files.Length);
                return [(byte)which, .. new Mutator(files[which].Content).Next(random)];
            },
            bytes =>
            {
                var (path, content) = files[bytes[0]];
                File.WriteAllBytes(path, bytes[1..]);
                try
                {
                    _ = ExportedPrompts.Load(whole).Configuration;
                }
                finally
                {
                    File.WriteAllBytes(path, content);
                }
            },
            typeof(InvalidDataException)
        )
        {
            Whole =
            [
                [0, .. files[0].Content],
            ],
        };
    }

    private static FuzzTarget Tokenizer(string folder)
    {
        string path = Path.Combine(folder, "tokenizer.json");
        string clip = Path.Combine(folder, "clip");
        ClipVocabulary vocabulary = new VocabularyFiles(Path.Combine(clip, "vocab.json"), Path.Combine(clip, "merges.txt")).Read();
        object[] merges = [.. vocabulary.Merges.Select((pair, i) => i % 2 == 0 ? (object)pair : pair.Split(' '))];
        byte[] seed = JsonSerializer.SerializeToUtf8Bytes(
            new
            {
                model = new
                {
                    type = "BPE",
                    end_of_word_suffix = ClipVocabulary.EndOfWord,
                    vocab = vocabulary.Ids,
                    merges,
                },
            }
        );
        return new FuzzTarget(
            "tokenizer.json",
            4,
            new Mutator(seed).Next,
            bytes =>
            {
                File.WriteAllBytes(path, bytes);
                _ = new ClipTokenizer(TokenizerJson.Read(path)).Encode("a thin photo", 16, out _);
            },
            typeof(InvalidDataException)
        )
        {
            Whole = [seed],
            BytesPerByte = 200,
            BytesAtLeast = 8 << 20,
        };
    }
}
