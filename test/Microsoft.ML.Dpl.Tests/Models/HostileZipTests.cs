using System.IO.Compression;
using System.Reflection;
using System.Text;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.Fuzzing;

namespace Microsoft.ML.Dpl.Tests.Models;

/// <summary>Tampered model zips: what the check before loading reports, what loading reports, and that nothing is written
/// elsewhere.</summary>
[Collection(RunsAlone.Name)]
public sealed class HostileZipTests : IDisposable
{
    private const string Ours = "TransformerChain/Transform_001/",
        Description = Ours + "dpl.json",
        Prompts = Ours + "prompts.safetensors",
        Config = Ours + "clip.config.json",
        Vocabulary = Ours + "clip.vocab.json";

    private static readonly string Saved = Path.Combine(
        SharedData.RepositoryRoot,
        "test",
        "Microsoft.ML.Dpl.Tests",
        "EndToEnd",
        "SavedVersion1"
    );

    private readonly TemporaryFolder _folder = new();
    private readonly MLContext _mlContext;
    private readonly byte[] _prompts,
        _whole;

    public HostileZipTests()
    {
        Directory.CreateDirectory(_folder.File("unpacked"));
        _mlContext = new MLContext(1) { TempFilePath = _folder.File("unpacked") }.Knowing(
            ClipBackbone.FromFolder(Path.Combine(Saved, "clip"))
        );
        ITransformer model = _mlContext.Model.Load(Path.Combine(Saved, "model.zip"), out DataViewSchema schema);
        using DplTransformer transformer = ((IEnumerable<ITransformer>)model).OfType<DplTransformer>().Single();
        _prompts = SavedAs(ModelContents.PromptsOnly);
        _whole = SavedAs(ModelContents.WithClip);

        byte[] SavedAs(ModelContents contents)
        {
            transformer.Contents = contents;
            using var zip = new MemoryStream();
            _mlContext.Model.Save(model, schema, zip);
            return zip.ToArray();
        }
    }

    /// <summary>Asserts that no test has left a file next to the zip or in the folder for temporary files. In the latter ML.NET leaves an
    /// empty folder for an invalid zip until the next garbage collection.</summary>
    public void Dispose()
    {
        Assert.Equal(
            ["model.zip", "unpacked"],
            Directory.EnumerateFileSystemEntries(_folder.FullPath).Select(Path.GetFileName).Order(StringComparer.Ordinal)
        );
        Assert.Empty(Directory.EnumerateFiles(_folder.File("unpacked"), "*", SearchOption.AllDirectories));
        _folder.Dispose();
    }

    [Fact]
    public void Models_as_they_are_saved_pass()
    {
        foreach (byte[] zip in (byte[][])[File.ReadAllBytes(Path.Combine(Saved, "model.zip")), _prompts, _whole])
        {
            ModelZip.Check(Written(zip));
            Load(zip).Dispose();
        }
        long unpacked = ZipBytes.Entries(_whole).Sum(entry => entry.Content.LongLength);
        string path = Written(_whole);
        ModelZip.Check(path, maximumBytes: unpacked);
        string message = Assert.Throws<InvalidDataException>(() => ModelZip.Check(path, maximumBytes: unpacked - 1)).Message;
        Assert.Contains($"would unpack to {unpacked} bytes", message);
    }

    [Theory]
    [InlineData("../outside.txt", "leads out")]
    [InlineData("TransformerChain/../../outside.txt", "leads out")]
    [InlineData("..\\outside.txt", "leads out")]
    [InlineData("/outside.txt", "leads out")]
    [InlineData("C:/outside.txt", "leads out")]
    [InlineData("C:outside.txt", "leads out")] // on Windows, relative to the current folder of drive C
    [InlineData(Description, "occurs twice")]
    [InlineData("TransformerChain\\Transform_001\\DPL.json", "occurs twice")]
    public void An_entry_of_a_hostile_name_is_named_and_written_nowhere(string name, string reason)
    {
        byte[] zip = ZipBytes.Create([.. ZipBytes.Entries(_prompts), (name, "hostile"u8.ToArray())]);
        string message = Assert.Throws<InvalidDataException>(() => ModelZip.Check(Written(zip))).Message;
        Assert.Contains(_folder.File("model.zip"), message);
        Assert.Contains($"'{name}'", message);
        Assert.Contains(reason, message);
        // ML.NET reads only entries whose names it knows, and of two entries with the same name the second.
        if (name == Description)
            Assert.Contains("dpl.json", LoadError(zip).Message);
        else
            Load(zip).Dispose();
    }

    [Fact]
    public void A_size_that_is_only_claimed_is_refused()
    {
        byte[] zip = ZipBytes.Claiming(ZipBytes.Create(ZipBytes.Entries(_prompts)), Description, 3_000_000_000);
        Assert.Contains($"'{Description}'", Assert.Throws<InvalidDataException>(() => ModelZip.Check(Written(zip))).Message);
    }

    /// <summary>Overlapping entries, many names for the same compressed bytes, make a small zip unpack to a large size (Fifield, WOOT
    /// 2019).</summary>
    [Fact]
    public void Entries_that_overlap_are_refused()
    {
        byte[] zip = ZipBytes.Create(ZipBytes.Entries(_prompts));
        ModelZip.Check(Written(zip));
        string overlapping = Written(ZipBytes.Overlapping(zip, Prompts, times: 10));
        string message = Assert.Throws<InvalidDataException>(() => ModelZip.Check(overlapping)).Message;
        Assert.Contains("overlap", message);
        Assert.Contains(_folder.File("model.zip"), message);
    }

    [Fact]
    public void A_bomb_is_refused_before_and_while_loading()
    {
        // 20 MiB of spaces in 20 KiB: valid JSON, but far beyond any configuration.
        byte[] bomb = ZipBytes.Create(
            ZipBytes
                .Entries(_whole)
                .Select(e => e.Name == Config ? (e.Name, (byte[])[.. e.Content, .. Enumerable.Repeat((byte)' ', 20 << 20)]) : e)
        );
        Assert.InRange(bomb.Length, 1, 1 << 20);
        Assert.Contains($"'{Config}'", Assert.Throws<InvalidDataException>(() => ModelZip.Check(Written(bomb))).Message);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("'clip.config.json' of the model zip has", Assert.IsType<InvalidDataException>(LoadError(bomb)).Message);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 8 << 20);

        byte[] prompts = ZipBytes.Create(
            ZipBytes.Entries(_prompts).Select(e => e.Name == Prompts ? (e.Name, (byte[])[.. e.Content, .. new byte[20 << 20]]) : e)
        );
        before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("far more than the", Assert.IsType<InvalidDataException>(LoadError(prompts)).Message);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 8 << 20);
    }

    /// <summary>Entries other than the library's have no maximum size, but nothing in a model compresses so well.</summary>
    [Fact]
    public void An_entry_of_any_name_that_unpacks_to_far_more_than_it_takes_is_refused()
    {
        string With(int bytes) =>
            Written(ZipBytes.Create([.. ZipBytes.Entries(_prompts), ("Other/values.bin", new byte[bytes])], CompressionLevel.SmallestSize));
        ModelZip.Check(With(1 << 24));
        string larger = With((1 << 24) + 1);
        Assert.Contains("'Other/values.bin' would unpack", Assert.Throws<InvalidDataException>(() => ModelZip.Check(larger)).Message);
    }

    [Fact]
    public void Weights_that_are_only_claimed_take_no_memory()
    {
        // The configuration and the header agree on a gigabyte of position embeddings, which the entry does not contain.
        byte[] json = Encoding.UTF8.GetBytes(
            """{"model_type":"clip","projection_dim":8,"vision_config":{"hidden_size":65536,"num_attention_heads":1,"num_hidden_layers":1,"intermediate_size":4096,"image_size":8,"patch_size":8},"text_config":{"hidden_size":8,"num_attention_heads":1,"num_hidden_layers":2,"intermediate_size":8,"vocab_size":515,"eos_token_id":2}}"""
        );
        byte[] zip = ZipBytes.Create(ZipBytes.Entries(_whole).Select(e => e.Name == Config ? (e.Name, json) : e));
        long before = Environment.WorkingSet;
        Assert.IsType<InvalidDataException>(LoadError(zip));
        Assert.InRange(Environment.WorkingSet - before, long.MinValue, 256 << 20);
    }

    [Theory]
    [InlineData(Description, "dpl.json")]
    [InlineData(Prompts, "prompts.safetensors")]
    [InlineData(Vocabulary, "clip.vocab.json")]
    public void A_missing_entry_is_named(string entry, string named)
    {
        byte[] zip = ZipBytes.Create(ZipBytes.Entries(_whole).Where(e => e.Name != entry));
        Assert.Contains($"no entry '{named}'", Assert.IsType<InvalidDataException>(LoadError(zip)).Message);
    }

    [Fact]
    public void A_changed_bit_in_the_prompts_is_found()
    {
        byte[] zip = ZipBytes.Create(
            ZipBytes
                .Entries(_prompts)
                .Select(e => e.Name == Prompts ? (e.Name, (byte[])[.. e.Content[..^1], (byte)(e.Content[^1] ^ 1)]) : e)
        );
        ModelZip.Check(Written(zip));
        Assert.Contains("do not match the SHA-256", Assert.IsType<InvalidDataException>(LoadError(zip)).Message);
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(0.99)]
    public void A_truncated_zip_is_named(double part)
    {
        byte[] zip = _prompts[..(int)(part * _prompts.Length)];
        Assert.Contains(_folder.File("model.zip"), Assert.Throws<InvalidDataException>(() => ModelZip.Check(Written(zip))).Message);
        // ML.NET opens the zip before it calls this library, so the message cannot name the file.
        Assert.Contains("zip", LoadError(zip).Message);
    }

    [Theory]
    [InlineData("this is not a zip")]
    [InlineData("")]
    public void What_is_no_zip_is_named(string content)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(content);
        string message = Assert.Throws<InvalidDataException>(() => ModelZip.Check(Written(bytes))).Message;
        Assert.Contains(_folder.File("model.zip"), message);
        Assert.Contains("not a zip", message);
        LoadError(bytes);
    }

    [Fact]
    public void A_zip_of_something_else_and_a_missing_file_are_named()
    {
        Assert.Contains(
            "no model of this library",
            Assert.Throws<InvalidDataException>(() => ModelZip.Check(Written(ZipBytes.Create([("a.txt", [1])])))).Message
        );
        Assert.Contains("absent.zip", Assert.Throws<FileNotFoundException>(() => ModelZip.Check(_folder.File("absent.zip"))).Message);
    }

    [Theory]
    [InlineData("\"textLengths\": [", "\"textLengths\": [5000,", "prompt length of 5000")]
    [InlineData("\"template\": \"", "\"template\": \"{} ", "template")]
    [InlineData("\"maxImagePixels\": ", "\"maxImagePixels\": -", "limits images to -")]
    public void A_description_out_of_range_is_refused(string text, string changed, string named)
    {
        byte[] zip = ZipBytes.Create(
            ZipBytes
                .Entries(_prompts)
                .Select(e =>
                    e.Name == Description
                        ? (
                            e.Name,
                            Encoding.UTF8.GetBytes(
                                WithPixels(Encoding.UTF8.GetString(e.Content)).Replace(text, changed, StringComparison.Ordinal)
                            )
                        )
                        : e
                )
        );
        Assert.Contains(named, Assert.IsType<InvalidDataException>(LoadError(zip)).Message);

        static string WithPixels(string json) =>
            json.Replace("\"maxImagePixels\": null", "\"maxImagePixels\": 1000", StringComparison.Ordinal);
    }

    private string Written(byte[] zip)
    {
        string path = _folder.File("model.zip");
        File.WriteAllBytes(path, zip);
        return path;
    }

    private DplTransformer Load(byte[] zip) =>
        ((IEnumerable<ITransformer>)_mlContext.Model.Load(Written(zip), out _)).OfType<DplTransformer>().Single();

    private Exception LoadError(byte[] zip)
    {
        Exception error = Assert.ThrowsAny<Exception>(() => Load(zip));
        while (error is TargetInvocationException { InnerException: { } inner })
            error = inner;
        return error;
    }
}
