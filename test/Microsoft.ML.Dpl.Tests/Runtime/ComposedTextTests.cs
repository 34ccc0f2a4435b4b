using System.Security.Cryptography;
using System.Text;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tests.Runtime;

/// <summary>Unicode's composed form (NFC), which must not depend on the machine's tables.</summary>
public class ComposedTextTests
{
    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("Blu\u0308te", "Bl\u00fcte")]
    [InlineData("\u212b", "\u00c5")] // the Ångström sign becomes a letter
    [InlineData("q\u0307\u0323", "q\u0323\u0307")]
    [InlineData("o\u0302\u0301", "\u1ed1")]
    [InlineData("\u0958", "\u0915\u093c")] // excluded from composition
    [InlineData("\u1112\u1161\u11ab", "\ud55c")]
    [InlineData("a\u0301\ud83d\ude00", "\u00e1\ud83d\ude00")]
    public void Letters_and_their_marks_become_one(string text, string composed)
    {
        Assert.Equal(composed, ComposedText.Compose(text));
        Assert.Equal(composed, ComposedText.Compose(composed));
    }

    /// <summary>The expected value comes from Python's unicodedata, which uses the same tables.</summary>
    [Fact]
    public void Every_code_point_composes_as_elsewhere()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (int point = 0; point <= 0x10FFFF; point++)
            if (Rune.IsValid(point))
                foreach (string behind in (string[])["", "\u0301", "\u0307\u0323", "\u1161\u11a8"])
                    hash.AppendData(Encoding.UTF8.GetBytes(ComposedText.Compose(char.ConvertFromUtf32(point) + behind) + "\n"));
        Assert.Equal("4152535303a62d62979c21a1c8acd5d4da7b9f3c660ccec72de81dbb4a10d0c3", Convert.ToHexStringLower(hash.GetHashAndReset()));
    }
}
