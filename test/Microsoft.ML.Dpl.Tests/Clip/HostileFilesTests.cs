using System.IO.Compression;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.TensorFiles;

namespace Microsoft.ML.Dpl.Tests.Clip;

/// <summary>Regression tests for the file readers: each of these files once made a reader allocate memory without bound, end the process,
/// or throw an exception that its documentation does not name.</summary>
public sealed class HostileFilesTests
{
    [Fact]
    public void A_vocabulary_that_unpacks_without_end_is_refused()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("bpe.txt.gz");
        using (var gzip = new GZipStream(File.Create(path), CompressionLevel.Fastest))
        {
            byte[] letters = new byte[1 << 20];
            Array.Fill(letters, (byte)'a');
            for (int i = 0; i < 80; i++)
                gzip.Write(letters); // all on one line
        }
        Assert.InRange(new FileInfo(path).Length, 1, 1 << 20);
        string message = Assert.Throws<InvalidDataException>(() => ClipVocabulary.ReadOpenAI(path)).Message;
        Assert.Contains(path, message);
        Assert.Contains("unpacks to more", message);
    }

    [Fact]
    public void A_single_high_id_takes_no_memory_for_those_below_it()
    {
        byte[] ids = "{\"a\":0,\"b\":1,\"ab\":2,\"<|startoftext|>\":3,\"<|endoftext|>\":9999999}"u8.ToArray(),
            merges = "a b\n"u8.ToArray();
        long before = GC.GetAllocatedBytesForCurrentThread();
        var tokenizer = new ClipTokenizer(
            ClipVocabulary.ReadHuggingFace(new MemoryStream(ids), "vocab", new MemoryStream(merges), "merges")
        );
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 8 << 20);
        Assert.True(tokenizer.Has(9_999_999));
        Assert.False(tokenizer.Has(5));
    }

    [Fact]
    public void A_pair_that_is_merged_twice_is_named()
    {
        byte[] ids = "{\"a\":0,\"b\":1,\"ab\":2,\"<|startoftext|>\":3,\"<|endoftext|>\":4}"u8.ToArray(),
            merges = "a b\na b\n"u8.ToArray();
        string message = Assert
            .Throws<InvalidDataException>(() =>
                ClipVocabulary.ReadHuggingFace(new MemoryStream(ids), "vocab", new MemoryStream(merges), "merges.txt")
            )
            .Message;
        Assert.Contains("merges.txt", message);
        Assert.Contains("merge 2 ('a b')", message);
    }

    [SkippableFact]
    public void A_file_that_is_cut_short_while_it_is_open_is_refused()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "Windows does not let it happen, and macOS has no such command");
        using var folder = new TemporaryFolder();
        string path = folder.File("a.safetensors");
        byte[] whole = SafetensorsBytes.Raw("""{"a":{"dtype":"F32","shape":[50000],"data_offsets":[0,200000]}}""", 200_000);
        File.WriteAllBytes(path, whole);
        using var file = SafetensorsFile.Open(path);
        // On Linux and macOS file sharing modes are only advisory: other programs can still truncate the file.
        using (var shell = System.Diagnostics.Process.Start("truncate", ["-s", "1000", path]))
            shell.WaitForExit();
        Assert.Contains(path, Assert.Throws<InvalidDataException>(() => file.Read("a").Dispose()).Message);
    }
}
