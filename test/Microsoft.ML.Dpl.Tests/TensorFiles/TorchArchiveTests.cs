using System.IO.Compression;
using System.Text;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.Fuzzing;
using Microsoft.ML.Dpl.Tests.Network;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.TensorFiles;

/// <summary>PyTorch's archives are read for their tensors only.</summary>
public sealed class TorchArchiveTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public TorchArchiveTests() => LibTorch.EnsureLoaded();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void An_archive_of_OpenAI_opens_as_CLIP_in_float32()
    {
        using RandomClip clip = OpenAIShaped(vocabulary: 515);
        using (NewDisposeScope())
            Write("ViT-X-16.pt", TorchZip.Modules(AsPublished(clip)));
        string message = Assert.Throws<FileNotFoundException>(() => ClipBackbone.Open(_folder.File("ViT-X-16.pt"))).Message;
        Assert.Contains("bpe_simple_vocab_16e6.txt.gz", message);

        SmallVocabulary(_folder.FullPath);
        var backbone = ClipBackbone.Open(_folder.File("ViT-X-16.pt"));
        Assert.Equal(clip.Config, backbone.Config);
        Assert.Equal(515, backbone.ReadVocabulary().Ids.Count);
        using Lease<ImageWeights> image = backbone.RentImageTower(CPU);
        using Lease<TextWeights> text = backbone.RentTextTower(CPU);
        foreach (var (read, made) in image.Value.Tensors.Zip(clip.Image.Tensors).Concat(text.Value.Tensors.Zip(clip.Text.Tensors)))
        {
            Assert.Equal(ScalarType.Float32, read.dtype);
            using Tensor difference = (read - made).abs().max();
            Assert.True(difference.item<float>() < 4e-3); // half precision of numbers up to 4
        }
        Assert.Equal(HashOf("ViT-X-16.pt"), backbone.Sha256);
    }

    [Fact]
    public void Its_vocabulary_may_lie_anywhere()
    {
        using RandomClip clip = OpenAIShaped(vocabulary: 515);
        using (NewDisposeScope())
            Write("clip.pt", TorchZip.Modules(AsPublished(clip)));
        string folder = Directory.CreateDirectory(_folder.File("vocabulary")).FullName;
        SmallVocabulary(folder);
        Assert.Equal(515, ClipBackbone.FromOpenAI(_folder.File("clip.pt"), folder).ReadVocabulary().Ids.Count);
        Assert.Equal(515, ClipBackbone.FromOpenAI(_folder.File("clip.pt"), Path.Combine(folder, "vocab.json")).ReadVocabulary().Ids.Count);
        Assert.Throws<FileNotFoundException>(() => ClipBackbone.FromOpenAI(_folder.File("clip.pt"), _folder.File("none.gz")));
        Assert.Throws<FileNotFoundException>(() => ClipBackbone.FromOpenAI(_folder.File("none.pt"), folder));

        // The vocabulary is also found in one of OpenAI's CLIPs in the hub's cache.
        string snapshot = _folder.File("cache/models--openai--clip-vit-base-patch16/snapshots/0123456789abcdef0123456789abcdef01234567");
        Directory.CreateDirectory(snapshot);
        HubSettings settings = HubSettings.From(new HubOptions { CacheFolder = _folder.File("cache"), Token = "" });
        Assert.Null(ClipDownload.CachedVocabulary(settings));
        SmallVocabulary(snapshot);
        Directory.CreateDirectory(_folder.File("cache/models--openai--clip-vit-base-patch16/refs"));
        File.WriteAllText(_folder.File("cache/models--openai--clip-vit-base-patch16/refs/main"), Path.GetFileName(snapshot));
        Assert.Equal(Path.Combine(snapshot, "vocab.json"), ClipDownload.CachedVocabulary(settings)!.Path);
    }

    [Fact]
    public void A_folder_with_pytorch_model_bin_is_the_same_CLIP_as_with_safetensors()
    {
        SmallBackbone.Write(_folder.FullPath, seed: 5);
        using Lease<ImageWeights> before = ClipBackbone.FromFolder(_folder.FullPath).RentImageTower(CPU);
        using (NewDisposeScope())
        using (SafetensorsFile file = SafetensorsFile.Open(_folder.File("model.safetensors")))
        {
            Write(
                "pytorch_model.bin",
                TorchZip.StateDictionary(file.Entries.Keys.Select(name => KeyValuePair.Create(name, file.Read(name))))
            );
        }
        File.Delete(_folder.File("model.safetensors"));
        using Lease<ImageWeights> after = ClipBackbone.FromFolder(_folder.FullPath).RentImageTower(CPU);
        foreach (var (one, other) in before.Value.Tensors.Zip(after.Value.Tensors))
            Assert.True(one.bytes.SequenceEqual(other.bytes));
    }

    [Fact]
    public void Tensors_come_with_their_types_shapes_and_strides()
    {
        using var scope = NewDisposeScope();
        Tensor rows = arange(6, dtype: ScalarType.Float32).reshape(2, 3),
            numbers = tensor(new long[] { 7, -1 });
        string path = Write(
            "t.pt",
            TorchZip.StateDictionary([
                new("rows", rows),
                new("columns", rows.t()),
                new("half", rows.to(ScalarType.Float16)),
                new("numbers", numbers),
                new("one", tensor(4.5f)),
            ])
        );
        using TorchArchive archive = TorchArchive.Open(path);
        Assert.Equal(["columns", "half", "numbers", "one", "rows"], archive.Entries.Keys.Order());
        Assert.Equal((ElementType.Float16, "2,3"), (archive.Entries["half"].Type, string.Join(',', archive.Entries["half"].Shape)));
        Assert.Equal([0, 1, 2, 3, 4, 5], archive.Read("rows").data<float>());
        Assert.Equal([0, 3, 1, 4, 2, 5], archive.Read("columns").contiguous().data<float>());
        Assert.Equal([3L, 2], archive.Read("columns").shape);
        Assert.Equal([7L, -1], archive.Read("numbers").data<long>());
        Assert.Equal(4.5f, archive.Read("one").item<float>());
        Assert.Throws<InvalidDataException>(() => archive.Read("none"));
    }

    [Theory]
    [InlineData("cos\nsystem\n", "os.system")]
    [InlineData("c__builtin__\neval\n", "__builtin__.eval")]
    [InlineData("ctorch\nload\n", "torch.load")]
    [InlineData("ctorch._utils\n_rebuild_qtensor\n", "_rebuild_qtensor")]
    [InlineData("ios\nsystem\n", "opcode 0x69")]
    [InlineData("S'x'\n", "opcode 0x53")]
    public void What_could_run_code_is_refused(string pickle, string named)
    {
        string path = Write("evil.pt", TorchZip.Around([0x80, 2], Encoding.ASCII.GetBytes(pickle), ")R."u8.ToArray()));
        string message = Assert.Throws<InvalidDataException>(() => TorchArchive.Open(path)).Message;
        Assert.StartsWith(path, message);
        Assert.Contains(named, message);
    }

    [Theory]
    [InlineData("}q\0h\0X\u0001\0\0\0ah\0s.", "holds itself")] // a dictionary that contains itself
    [InlineData("}.", "no tensors")]
    [InlineData("K\u0001.", "no tensors")]
    [InlineData("", "ends too early")]
    [InlineData("t", "never began")]
    [InlineData("(s", "not there")]
    [InlineData("h\u0005.", "never stored")]
    [InlineData("X\u00ff\0\0\0a", "ends too early")]
    public void Damaged_pickles_are_refused_with_a_reason(string pickle, string reason) =>
        Assert.Contains(
            reason,
            Assert
                .Throws<InvalidDataException>(() => TorchArchive.Open(Write("bad.pt", TorchZip.Around(Encoding.Latin1.GetBytes(pickle)))))
                .Message
        );

    [Fact]
    public void A_small_file_cannot_make_many_objects()
    {
        string Refusal(byte[] pickle) =>
            Assert.Throws<InvalidDataException>(() => TorchArchive.Open(Write("bomb.pt", TorchZip.Around(pickle)))).Message;
        byte[] dictionaries = [0x80, 2, .. Enumerable.Repeat((byte)'}', 3_000_000), (byte)'.'];
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("more than 1048576 opcodes", Refusal(dictionaries));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 256L << 20);

        // One long list used as the shape of many tensors.
        string shape = $"({string.Concat(Enumerable.Repeat("K\u0001", 65))}t";
        Assert.Contains(
            "up to 64 whole numbers",
            Refusal(
                Encoding.Latin1.GetBytes(
                    "\u0080\u0002ctorch._utils\n_rebuild_tensor\n((X\u0007\0\0\0storagectorch\nFloatStorage\n"
                        + $"X\u0001\0\0\00X\u0003\0\0\0cpuK\u0001tQK\0{shape}{shape}tR."
                )
            )
        );
    }

    [Fact]
    public void Archives_changed_at_random_give_tensors_or_the_documented_exception()
    {
        byte[] whole;
        using (NewDisposeScope())
            whole = TorchZip.Modules(
                new Dictionary<string, Tensor>
                {
                    ["a.weight"] = arange(6, dtype: ScalarType.Float32).reshape(2, 3),
                    ["b"] = ones(3, dtype: ScalarType.Float16),
                }
            );
        var random = new Random(1);
        int refused = 0;
        for (int i = 0; i < 500; i++)
        {
            byte[] changed = i % 5 == 0 ? whole[..random.Next(whole.Length)] : [.. whole];
            for (int change = random.Next(1, 4); change > 0 && changed.Length > 0; change--)
                changed[random.Next(changed.Length)] = (byte)random.Next(256);
            string path = Write("changed.pt", changed);
            try
            {
                using TorchArchive archive = TorchArchive.Open(path);
                foreach (string name in archive.Entries.Keys)
                    archive.Read(name).Dispose();
            }
            catch (InvalidDataException e)
            {
                Assert.StartsWith(path, e.Message);
                refused++;
            }
        }
        Assert.InRange(refused, 100, 499); // a fifth is truncated; of the others, some changes affect only numbers
    }

    [Fact]
    public void Archives_that_lack_or_squeeze_numbers_are_refused()
    {
        byte[] whole;
        using (NewDisposeScope())
            whole = TorchZip.StateDictionary([new("a", zeros(1000))]);
        string Refusal(Action<ZipArchive> change)
        {
            string path = Write("changed.pt", whole);
            using (ZipArchive zip = ZipFile.Open(path, ZipArchiveMode.Update))
                change(zip);
            return Assert.Throws<InvalidDataException>(() => TorchArchive.Open(path)).Message;
        }
        void Replace(ZipArchive zip, string name, byte[] content, CompressionLevel level)
        {
            zip.GetEntry(name)?.Delete();
            using Stream stream = zip.CreateEntry(name, level).Open();
            stream.Write(content);
        }
        Assert.Contains("is missing", Refusal(zip => zip.GetEntry("archive/data/0")!.Delete()));
        Assert.Contains("compressed", Refusal(zip => Replace(zip, "archive/data/0", new byte[4000], CompressionLevel.Optimal)));
        byte[] pickle = ZipBytes.Entries(whole).Single(entry => entry.Name == "archive/data.pkl").Content;
        Assert.Contains(
            "'archive/data.pkl' is compressed",
            Refusal(zip => Replace(zip, "archive/data.pkl", [.. pickle, .. new byte[1000]], CompressionLevel.Optimal))
        );
        Assert.Contains(
            "too few for 1000 numbers",
            Refusal(zip => Replace(zip, "archive/data/0", new byte[3999], CompressionLevel.NoCompression))
        );
        Assert.Contains("big-endian", Refusal(zip => Replace(zip, "archive/byteorder", "big"u8.ToArray(), CompressionLevel.NoCompression)));
        Assert.Contains("0 files", Refusal(zip => zip.GetEntry("archive/data.pkl")!.Delete()));
        Assert.Contains("2 files", Refusal(zip => Replace(zip, "other/data.pkl", [], CompressionLevel.NoCompression)));
    }

    [Fact]
    public void A_ResNet_is_refused_and_so_is_what_is_no_CLIP()
    {
        SmallVocabulary(_folder.FullPath);
        using var scope = NewDisposeScope();
        Write("RN50.pt", TorchZip.Modules(new Dictionary<string, Tensor> { ["visual.layer1.0.conv1.weight"] = ones(1) }));
        Assert.Contains("ResNet", Assert.Throws<InvalidDataException>(() => ClipBackbone.Open(_folder.File("RN50.pt"))).Message);
        Write("other.pt", TorchZip.Modules(new Dictionary<string, Tensor> { ["x"] = ones(1) }));
        Assert.Contains(
            "not a CLIP in OpenAI's names",
            Assert.Throws<InvalidDataException>(() => ClipBackbone.Open(_folder.File("other.pt"))).Message
        );
    }

    [Fact]
    public void Reading_leaks_nothing()
    {
        string path;
        using (NewDisposeScope())
            path = Write("t.pt", TorchZip.StateDictionary([new("rows", ones(2, 3)), new("columns", ones(2, 3).t())]));
        using TorchArchive archive = TorchArchive.Open(path);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (Tensor rows = archive.Read("rows"))
        using (Tensor columns = archive.Read("columns"))
        {
            Assert.Equal(before + 2, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static RandomClip OpenAIShaped(int vocabulary) =>
        new(RandomClip.Shape(imageWidth: 64, imageHeads: 1, textWidth: 64, textHeads: 1) with { VocabularySize = vocabulary }, seed: 4);

    /// <summary>The tensors as OpenAI published them: matrices in half precision, and three sizes as additional tensors.</summary>
    private static Dictionary<string, Tensor> AsPublished(RandomClip clip)
    {
        var tensors = clip.Entries.Keys.ToDictionary(
            name => name,
            name => clip.Read(name) is var t && t.dim() > 1 ? t.to(ScalarType.Float16) : t
        );
        foreach (string size in (string[])["input_resolution", "context_length", "vocab_size"])
            tensors[size] = tensor(77L);
        return tensors;
    }

    /// <summary>Writes the vocabulary of 515 tokens of <see cref="SmallBackbone"/>.</summary>
    private static void SmallVocabulary(string folder)
    {
        using var small = new SmallBackbone();
        foreach (string name in (string[])["vocab.json", "merges.txt"])
            File.Copy(Path.Combine(small.Folder, name), Path.Combine(folder, name));
    }

    private string HashOf(string name) =>
        Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(_folder.File(name)))).ToLowerInvariant();

    private string Write(string name, byte[] bytes)
    {
        File.WriteAllBytes(_folder.File(name), bytes);
        return _folder.File(name);
    }
}
