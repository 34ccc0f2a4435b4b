using System.Globalization;
using System.Security.Cryptography;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.TensorFiles;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Clip;

[Trait("Category", "Golden")]
public sealed class ClipBackboneTests : IDisposable
{
    private const string Vocabulary = "bpe_simple_vocab_16e6.txt.gz";

    private readonly TemporaryFolder _folder = new();

    public ClipBackboneTests() => LibTorch.EnsureLoaded();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void AFolderInHuggingFacesLayoutIsOpened()
    {
        WriteHuggingFace();
        var backbone = ClipBackbone.Open(_folder.FullPath + Path.DirectorySeparatorChar);
        Assert.Equal((Path.GetFileName(_folder.FullPath), _folder.FullPath), (backbone.Name, backbone.Location));
        Assert.Equal(499, backbone.Config.EndOfTextId);
        Assert.False(backbone.Files!.IsOpenAILayout);
        Assert.Equal(
            (_folder.File("vocab.json"), _folder.File("merges.txt")),
            (backbone.Files!.VocabularyPath, backbone.Files!.MergesPath)
        );
        Assert.Null(backbone.Files!.PreprocessorConfigPath);
        Assert.Contains("neither processor_config.json nor preprocessor_config.json", backbone.PreprocessingNote);
        Assert.Equal(
            Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(_folder.File("model.safetensors")))).ToLowerInvariant(),
            backbone.Sha256
        );

        File.WriteAllText(_folder.File("preprocessor_config.json"), "{}");
        backbone = ClipBackbone.FromFolder(_folder.FullPath);
        Assert.Equal(_folder.File("preprocessor_config.json"), backbone.Files!.PreprocessorConfigPath);
        Assert.Null(backbone.PreprocessingNote);
    }

    [Fact]
    public void AShardedFolderHashesItsShardsInOrder()
    {
        WriteHuggingFace(isSharded: true);
        var backbone = ClipBackbone.FromFolder(_folder.FullPath);
        byte[] first = SHA256.HashData(File.ReadAllBytes(_folder.File("model-00001-of-00002.safetensors"))),
            second = SHA256.HashData(File.ReadAllBytes(_folder.File("model-00002-of-00002.safetensors")));
        Assert.Equal(Convert.ToHexString(SHA256.HashData([.. first, .. second])).ToLowerInvariant(), backbone.Sha256);
        using Lease<ImageWeights> image = backbone.RentImageTower(CPU);
        Assert.Equal(4, image.Value.Blocks.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TheListedFilesAloneAreTheSameClip(bool isSharded)
    {
        WriteHuggingFace(isSharded);
        File.WriteAllText(_folder.File("preprocessor_config.json"), "{}");
        var backbone = ClipBackbone.FromFolder(_folder.FullPath);
        using var copy = new TemporaryFolder();
        foreach (string path in backbone.FilePaths)
            copy.Copy(path);
        var copied = ClipBackbone.FromFolder(copy.FullPath);
        Assert.Equal(backbone.Sha256, copied.Sha256);
        Assert.Null(copied.PreprocessingNote);
        Assert.Equal(backbone.FilePaths.Select(Path.GetFileName), copied.FilePaths.Select(Path.GetFileName));
    }

    /// <summary>Weights are shared by this text; a server that answers in several languages must not read them once for each.</summary>
    [Fact]
    public void AFilesStampIsWrittenAlikeInEveryCultureAndDiffersWithinASecond()
    {
        var stamp = new FileStamp("/weights", 1_234_567, new DateTime(2025, 3, 14, 15, 9, 26, DateTimeKind.Utc));
        string key = stamp.Key;
        CultureInfo before = CultureInfo.CurrentCulture;
        var other = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        (other.DateTimeFormat.ShortDatePattern, other.DateTimeFormat.LongTimePattern) = ("dd.MM.yyyy", "HH-mm");
        (other.NumberFormat.NumberGroupSeparator, other.NumberFormat.NegativeSign) = (".", "~");
        CultureInfo.CurrentCulture = other;
        try
        {
            Assert.Equal(key, stamp.Key);
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
        Assert.NotEqual(stamp.Key, (stamp with { LastWriteUtc = stamp.LastWriteUtc.AddTicks(1) }).Key);
    }

    [Fact]
    public void AFileInOpenAIsNamesIsOpenedWithTheVocabularyBesideIt()
    {
        string weights = _folder.Copy(GoldenFolder.At("tiny-b/clip.safetensors"));
        string message = Assert.Throws<FileNotFoundException>(() => ClipBackbone.Open(weights)).Message;
        Assert.Contains(_folder.File(Vocabulary), message);

        File.WriteAllBytes(_folder.File(Vocabulary), []);
        var backbone = ClipBackbone.Open(weights);
        Assert.Equal(("clip.safetensors", weights), (backbone.Name, backbone.Location));
        Assert.True(backbone.Files!.IsOpenAILayout);
        Assert.Equal(
            (_folder.File(Vocabulary), null, null),
            (backbone.Files!.VocabularyPath, backbone.Files!.MergesPath, backbone.Files!.PreprocessorConfigPath)
        );
        using Lease<TextWeights> text = backbone.RentTextTower(CPU);
        Assert.Equal(500, text.Value.TokenEmbedding.shape[0]);
    }

    [Fact]
    public void WhatIsMissingOrWrongIsSaidOnOpening()
    {
        Assert.Throws<FileNotFoundException>(() => ClipBackbone.Open(_folder.File("none")));
        Assert.Throws<DirectoryNotFoundException>(() => ClipBackbone.FromFolder(_folder.File("none")));
        Assert.Throws<ArgumentException>(() => ClipBackbone.Open(" "));
        File.WriteAllText(_folder.File("ViT-B-16.pt"), "");
        Assert.Contains("convert", Assert.Throws<InvalidDataException>(() => ClipBackbone.Open(_folder.File("ViT-B-16.pt"))).Message);

        Exception Refusal() => Record.Exception(() => ClipBackbone.FromFolder(_folder.FullPath))!;
        Assert.Contains("no config.json", Assert.IsType<FileNotFoundException>(Refusal()).Message);
        using var whole = new TemporaryFolder();
        HuggingFaceFolder.WriteGolden(whole.FullPath);
        string config = _folder.Copy(whole.File("config.json"));
        Assert.Contains(
            "neither model.safetensors nor model.safetensors.index.json",
            Assert.IsType<FileNotFoundException>(Refusal()).Message
        );
        File.WriteAllText(_folder.File("pytorch_model.bin"), "");
        Assert.Contains("pytorch_model.bin, which must be converted", Assert.IsType<FileNotFoundException>(Refusal()).Message);
        string weights = _folder.Copy(whole.File("model.safetensors"));
        Assert.Contains("vocab.json", Assert.IsType<FileNotFoundException>(Refusal()).Message);
        File.WriteAllText(_folder.File("vocab.json"), "{}");
        Assert.Contains("merges.txt", Assert.IsType<FileNotFoundException>(Refusal()).Message);
        File.WriteAllText(_folder.File("merges.txt"), "");
        Assert.Null(Refusal());

        byte[] content = File.ReadAllBytes(weights);
        File.WriteAllBytes(weights, content[..^1]);
        Assert.Contains(weights, Assert.IsType<InvalidDataException>(Refusal()).Message);
        File.WriteAllBytes(weights, content);
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"num_hidden_layers\":4", "\"num_hidden_layers\":5"));
        Assert.Contains("vision_model.encoder.layers.4.", Assert.IsType<InvalidDataException>(Refusal()).Message);
    }

    [Fact]
    public void HuggingFaceNamesInASingleFileAreExplained()
    {
        WriteHuggingFace();
        Assert.Contains(
            "opened as a folder",
            Assert.Throws<InvalidDataException>(() => ClipBackbone.Open(_folder.File("model.safetensors"))).Message
        );
    }

    [Fact]
    public void WeightsAreSharedAndGoWithTheLastLease()
    {
        WriteHuggingFace();
        ClipBackbone one = ClipBackbone.FromFolder(_folder.FullPath),
            other = ClipBackbone.FromFolder(_folder.FullPath);
        Lease<ImageWeights> first = one.RentImageTower(CPU),
            second = other.RentImageTower(new Device("cpu"));
        ImageWeights shared = first.Value;
        Assert.Same(shared, second.Value);

        first.Dispose();
        first.Dispose();
        Assert.Throws<ObjectDisposedException>(() => first.Value);
        Assert.All(second.Value.Tensors, t => Assert.False(t.IsInvalid));
        second.Dispose();
        Assert.All(shared.Tensors, t => Assert.True(t.IsInvalid));

        using Lease<ImageWeights> again = one.RentImageTower(CPU);
        Assert.NotSame(shared, again.Value);
    }

    [Fact]
    public void AnotherConfigurationOfTheSameFileIsNotShared()
    {
        WriteHuggingFace();
        string config = _folder.File("config.json");
        using Lease<TextWeights> quick = ClipBackbone.FromFolder(_folder.FullPath).RentTextTower(CPU);
        File.WriteAllText(config, File.ReadAllText(config).Replace("quick_gelu", "gelu"));
        using Lease<TextWeights> exact = ClipBackbone.FromFolder(_folder.FullPath).RentTextTower(CPU);
        Assert.NotSame(quick.Value, exact.Value);
    }

    [Fact]
    public void FilesAreFreeOnceReadAndAChangeIsNoticed()
    {
        WriteHuggingFace();
        string weights = _folder.File("model.safetensors");
        var backbone = ClipBackbone.FromFolder(_folder.FullPath);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (Lease<ImageWeights> image = backbone.RentImageTower(CPU))
        {
            using var other = new TemporaryFolder();
            SafetensorsBytes.Rewrite(weights, other.File("changed"), (_, t) => t.to(ScalarType.Float16));
            File.WriteAllBytes(weights, File.ReadAllBytes(other.File("changed")));
            Assert.Contains("has changed", Assert.Throws<IOException>(() => backbone.RentTextTower(CPU)).Message);
            Assert.Throws<IOException>(() => backbone.Sha256);

            // Weights that are already in memory stay valid: they are those of the file that was opened.
            using Lease<ImageWeights> same = backbone.RentImageTower(CPU);
            Assert.Same(image.Value, same.Value);
        }
        ClipBackbone.FromFolder(_folder.FullPath).RentTextTower(CPU).Dispose();
        File.Delete(weights);
        Assert.Throws<FileNotFoundException>(() => backbone.RentImageTower(CPU));
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void ManyThreadsRentAndHashSafely()
    {
        WriteHuggingFace();
        var backbone = ClipBackbone.FromFolder(_folder.FullPath);
        Parallel.For(0, 64, new ParallelOptions { MaxDegreeOfParallelism = 8 }, _ =>
        {
            using Lease<ImageWeights> image = backbone.RentImageTower(CPU);
            using Lease<TextWeights> text = backbone.RentTextTower(CPU);
            Assert.Equal(64, image.Value.ClassEmbedding.shape[0]);
            Assert.False(text.Value.Projection.IsInvalid);
            Assert.Equal(64, backbone.Sha256.Length);
        });
    }

    [SkippableFact]
    public void LinkedWeightsAreFollowed()
    {
        Skip.If(OperatingSystem.IsWindows(), "making links needs a privilege on Windows");
        WriteHuggingFace();
        string weights = _folder.File("model.safetensors");
        File.Move(weights, _folder.File("blob"));
        File.CreateSymbolicLink(weights, "blob");
        Assert.Equal(new FileInfo(_folder.File("blob")).Length, FileStamp.Read(weights).Length);
        ClipBackbone.FromFolder(_folder.FullPath).RentImageTower(CPU).Dispose();
    }

    private void WriteHuggingFace(bool isSharded = false)
    {
        HuggingFaceFolder.WriteGolden(_folder.FullPath, isSharded);
        File.WriteAllText(_folder.File("vocab.json"), "{}");
        File.WriteAllText(_folder.File("merges.txt"), "");
    }
}
