using System.IO.Compression;
using System.Text.Json;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tests.Clip;

public sealed class ClipTokenizerTests : IDisposable
{
    private const int OpenAIVocabularySize = 49408;

    private static readonly string OpenAIVocabulary = Path.Combine(
        SharedData.RepositoryRoot,
        "test",
        "clip-vocabulary",
        VocabularyFiles.OpenAI
    );

    private readonly string _folder = Directory.CreateTempSubdirectory("dpl-tokenizer-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private sealed record GoldenText(string text, int[] ids);

    [Fact]
    public void TokensAreReadAsText()
    {
        ClipTokenizer tokenizer = Load("openai");
        (string Text, bool EndsWord)[] read = [.. tokenizer.Encode("photo é", 77, out _).Select(tokenizer.Read)];
        Assert.Equal([("<|startoftext|>", true), ("photo", true), ("é", true), ("<|endoftext|>", true)], read);
        Assert.Contains(Enumerable.Range(0, tokenizer.VocabularySize).Select(tokenizer.Read), token => token == ("pho", false));
        Assert.True(tokenizer.Has(0) && !tokenizer.Has(tokenizer.VocabularySize) && !tokenizer.Has(-1));
    }

    [Theory, Trait("Category", "Golden")]
    [InlineData("openai")]
    [InlineData("huggingface")]
    public void EncodesEveryGoldenText(string layout)
    {
        ClipTokenizer tokenizer = Load(layout);
        var cases = JsonSerializer.Deserialize<GoldenText[]>(File.ReadAllText(GoldenFolder.At("tokenizer/clip-bpe.json")))!;
        Assert.Equal(2169, cases.Length);
        string[] wrong =
        [
            .. cases
                .Where(c => !tokenizer.Encode(c.text, int.MaxValue, out _).SequenceEqual(c.ids))
                .Select(c => $"{c.text}: {string.Join(' ', tokenizer.Encode(c.text, int.MaxValue, out _))} for {string.Join(' ', c.ids)}"),
        ];
        Assert.Empty(wrong);
    }

    [Theory]
    [InlineData("openai")]
    [InlineData("huggingface")]
    public void KnowsItsSpecialTokensAndTokenTexts(string layout)
    {
        ClipTokenizer tokenizer = Load(layout);
        Assert.Equal((49406, 49407, 49408), (tokenizer.StartId, tokenizer.EndId, tokenizer.VocabularySize));
        Assert.Equal(
            ["<|startoftext|>", "photo</w>", ".</w>", "<|endoftext|>"],
            tokenizer.Encode("photo.", 77, out _).Select(tokenizer.Token)
        );
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Token(49408));
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Token(-1));
    }

    [Fact]
    public void ReadsASmallVocabularyAndMergesInOrder()
    {
        ClipTokenizer tokenizer = Small("c a\nca t</w>\n");
        Assert.Equal(
            ["<|startoftext|>", "cat</w>", "ca", "c</w>", "<|endoftext|>"],
            tokenizer.Encode("CAT cac", 77, out bool truncated).Select(tokenizer.Token)
        );
        Assert.False(truncated);
        Assert.Equal(516, tokenizer.VocabularySize);
    }

    [Fact]
    public void KeepsTheEndTokenWhereTextIsTooLong()
    {
        ClipTokenizer tokenizer = Small("c a\nca t</w>\n");
        int[] whole = tokenizer.Encode("cat c a t", 6, out bool truncated);
        Assert.False(truncated);
        Assert.Equal(6, whole.Length);
        int[] cut = tokenizer.Encode("cat c a t", 5, out truncated);
        Assert.True(truncated);
        Assert.Equal([.. whole.Take(4), tokenizer.EndId], cut);
        Assert.Equal([tokenizer.StartId, tokenizer.EndId], tokenizer.Encode("cat", 2, out truncated));
        Assert.True(truncated);
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Encode("cat", 1, out _));
    }

    [Theory]
    [InlineData("&amp;amp;  A\u00a0\tB\n", "& a b")]
    [InlineData("\u0130stanbul", "i\u0307stanbul")]
    [InlineData("  ", "")]
    public void CleansText(string text, string expected) => Assert.Equal(expected, ClipText.Clean(text));

    [Fact]
    public void ReplacesWhatIsNoCharacter() => Assert.Equal("a \ufffd b", ClipText.Clean("a " + (char)0xD800 + " b"));

    [Fact]
    public void ComposesAccents() => Assert.Equal("caf\u00e9", ClipText.Clean("cafe\u0301"));

    [Theory]
    [InlineData("it's 42nd?! st", "it|'s|4|2|nd|?!|st")]
    [InlineData("'quoted' don't", "'|quoted|'|don|'t")]
    [InlineData("\ud835\udc9c\ud835\udc9ea\ud83d\ude00!", "\ud835\udc9c\ud835\udc9ea|\ud83d\ude00!")]
    [InlineData("a<|endoftext|>b", "a|<|endoftext|>|b")]
    public void SplitsWords(string text, string expected) =>
        Assert.Equal(expected, string.Join('|', new ClipPreTokenizer().PreTokenize(text).Select(w => text.Substring(w.Offset, w.Length))));

    [Fact]
    public void EncodesTheSameFromManyThreads()
    {
        ClipTokenizer tokenizer = Small("c a\nca t</w>\n");
        string[] texts = [.. Enumerable.Range(0, 500).Select(i => $"cat {i} act {(char)('a' + i % 26)}{i}")];
        int[][] expected = [.. texts.Select(t => tokenizer.Encode(t, 77, out _))];
        ClipTokenizer fresh = Small("c a\nca t</w>\n");
        int[][] actual = [.. texts.AsParallel().AsOrdered().WithDegreeOfParallelism(4).Select(t => fresh.Encode(t, 77, out _))];
        Assert.Equal(expected, actual);
    }

    [Theory]
    [InlineData("c a t\n", "line 2")]
    [InlineData("ca\n", "line 2")]
    [InlineData("c q\u4e00\n", "not in the vocabulary")]
    [InlineData("", "no merge")]
    public void RefusesMalformedMerges(string merges, string message) =>
        Assert.Contains(message, Assert.Throws<InvalidDataException>(() => Small(merges)).Message);

    [Theory]
    [InlineData("[1, 2]", "not a JSON object")]
    [InlineData("null", "empty")]
    [InlineData("{\"a\": 1}", "<|startoftext|>")]
    [InlineData("{\"<|startoftext|>\": 1, \"<|endoftext|>\": 1}", "id 1")]
    [InlineData("{\"<|startoftext|>\": 1, \"<|endoftext|>\": -2}", "negative")]
    [InlineData("{\"<|startoftext|>\": 1, \"<|endoftext|>\": 2000000000}", "2000000000")]
    public void RefusesAMalformedTokenTable(string json, string message)
    {
        string vocabulary = Write("vocab.json", json),
            merges = Write("merges.txt", "a b\n");
        string text = Assert.Throws<InvalidDataException>(() => ClipTokenizer.FromHuggingFace(vocabulary, merges)).Message;
        Assert.Contains(message, text);
        Assert.Contains(vocabulary, text);
    }

    [Fact]
    public void NamesAMissingOrDamagedFile()
    {
        string absent = Path.Combine(_folder, "absent.gz");
        Assert.Contains(absent, Assert.Throws<FileNotFoundException>(() => ClipTokenizer.FromOpenAI(absent)).Message);
        string plain = Write("plain.gz", "not compressed at all");
        Assert.Contains(plain, Assert.Throws<InvalidDataException>(() => ClipTokenizer.FromOpenAI(plain)).Message);
        string repeated = Path.Combine(_folder, "repeated.gz");
        using (StreamWriter writer = new(new GZipStream(File.Create(repeated), CompressionLevel.Fastest)))
            writer.Write("#version\na b\na b\n");
        Assert.Contains("'ab' occurs twice", Assert.Throws<InvalidDataException>(() => ClipTokenizer.FromOpenAI(repeated)).Message);
    }

    /// <summary>A tokenizer of all bytes, with and without the end-of-word mark, two merged tokens and the special tokens.</summary>
    private ClipTokenizer Small(string merges)
    {
        string[] printable =
        [
            .. Enumerable
                .Range(0, 256)
                .Select(b =>
                    b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF) ? $"{(char)b}" : $"{(char)(b + 1000)}"
                ),
        ];
        string[] tokens = [.. printable, .. printable.Select(t => t + "</w>"), "ca", "cat</w>", "<|startoftext|>", "<|endoftext|>"];
        string json = JsonSerializer.Serialize(tokens.Select((t, i) => (t, i)).ToDictionary(p => p.t, p => p.i));
        return ClipTokenizer.FromHuggingFace(Write("vocab.json", json), Write("merges.txt", "#version: 0.2\n" + merges));
    }

    private string Write(string name, string text)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    private ClipTokenizer Load(string layout)
    {
        if (layout == "openai")
            return ClipTokenizer.FromOpenAI(OpenAIVocabulary);
        // OpenAI's vocabulary ignores the merges in the rest of the file.
        using var reader = new StreamReader(new GZipStream(File.OpenRead(OpenAIVocabulary), CompressionMode.Decompress));
        HuggingFaceFolder.WriteVocabulary(_folder, [.. reader.ReadToEnd().Split('\n').Skip(1).Take(OpenAIVocabularySize - 2 * 256 - 2)]);
        return ClipTokenizer.FromHuggingFace(Path.Combine(_folder, VocabularyFiles.Ids), Path.Combine(_folder, VocabularyFiles.Merges));
    }
}
