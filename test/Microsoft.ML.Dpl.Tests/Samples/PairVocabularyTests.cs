using Drawing;
using Microsoft.ML.Dpl.Clip;
using PretrainTinyClip;

namespace Microsoft.ML.Dpl.Tests.Samples;

public sealed class PairVocabularyTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dpl-vocabulary-");
    private readonly PairVocabulary _vocabulary;
    private readonly ClipTokenizer _tokenizer;

    public PairVocabularyTests()
    {
        _vocabulary = PairVocabulary.Learn(new DrawnImages(1), captions: 4000);
        _vocabulary.Save(_folder.FullName);
        _tokenizer = ClipTokenizer.FromHuggingFace(
            Path.Combine(_folder.FullName, "vocab.json"),
            Path.Combine(_folder.FullName, "merges.txt")
        );
    }

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Words_of_captions_are_single_tokens()
    {
        int[] ids = _tokenizer.Encode("a photo of a red striped star.", 32, out bool truncated);
        Assert.Equal(
            ["<|startoftext|>", "a</w>", "photo</w>", "of</w>", "a</w>", "red</w>", "striped</w>", "star</w>", ".</w>", "<|endoftext|>"],
            ids.Select(_tokenizer.Token)
        );
        Assert.False(truncated);
    }

    [Theory]
    [InlineData("annual crop land")]
    [InlineData("Boeing 737-800")]
    [InlineData("crème brûlée")]
    [InlineData("日本語 🙂 ¿?")]
    [InlineData("\u0001\u0002")]
    public void Any_text_has_tokens_that_spell_it(string text)
    {
        int[] ids = _tokenizer.Encode(text, 200, out bool truncated);
        Assert.False(truncated);
        Assert.Equal((_tokenizer.StartId, _tokenizer.EndId), (ids[0], ids[^1]));
        string spelled = string.Concat(ids[1..^1].Select(_tokenizer.Token)).Replace("</w>", "", StringComparison.Ordinal);
        Assert.Equal(
            System.Text.Encoding.UTF8.GetByteCount(ClipText.Clean(text).Replace(" ", "", StringComparison.Ordinal)),
            spelled.Length
        );
    }

    [Fact]
    public void Sizes_agree()
    {
        Assert.Equal((_vocabulary.Size, _vocabulary.EndId), (_tokenizer.VocabularySize, _tokenizer.EndId));
        Assert.InRange(_vocabulary.Size, 515, 2000);
    }

    [Fact]
    public void Fewer_tokens_can_be_asked_for() =>
        Assert.Equal(600, PairVocabulary.Learn(new DrawnImages(1), captions: 500, mostTokens: 600).Size);
}
