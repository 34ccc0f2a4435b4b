using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.Network;

namespace Microsoft.ML.Dpl.Tests.Clip;

/// <summary>The description of a CLIP in a model zip is read back exactly as it was written.</summary>
public sealed class ClipJsonTests
{
    [Theory]
    [InlineData(null, ClipActivation.QuickGelu)]
    [InlineData(7, ClipActivation.Gelu)]
    public void A_configuration_comes_back_equal(int? endOfText, ClipActivation activation)
    {
        ClipConfig shape = RandomClip.Shape(imageSize: 24, patch: 8);
        ClipConfig config = shape with
        {
            EndOfTextId = endOfText,
            VocabularySize = 99,
            ContextLength = 11,
            Image = shape.Image with { Activation = activation, NormEpsilon = 1.0 / 3e5 },
        };
        Assert.Equal(config, ClipConfigReader.Parse(ClipJson.Serialize(config), "config"));
    }

    [Fact]
    public void Preprocessing_comes_back_equal()
    {
        ClipImageProcessorConfig config = ClipImageProcessorConfig.Default(24) with { ShortSide = 29, Deviation = [1f / 3, 0.25f, 1] };
        ClipImageProcessorConfig read = ClipImageProcessorConfig.Parse(ClipJson.Serialize(config), "preprocessor", 24);
        Assert.Equal((29, 24), (read.ShortSide, read.CropSize));
        Assert.Equal(config.Mean, read.Mean);
        Assert.Equal(config.Deviation, read.Deviation);
    }

    [Fact]
    public void A_vocabulary_comes_back_equal()
    {
        var vocabulary = new ClipVocabulary(
            new Dictionary<string, int>
            {
                ["é"] = 3,
                ["\""] = 1,
                ["é\""] = 0,
                ["#"] = 7,
                ["##"] = 8,
                [ClipVocabulary.StartToken] = 4,
                [ClipVocabulary.EndToken] = 6,
            },
            ["# #", "é \""],
            "here"
        );
        using var ids = new MemoryStream();
        using var merges = new MemoryStream();
        vocabulary.WriteIds(ids);
        vocabulary.WriteMerges(merges);
        ids.Position = merges.Position = 0;
        ClipVocabulary read = ClipVocabulary.ReadHuggingFace(ids, "ids", merges, "merges");
        Assert.Equal(vocabulary.Ids.OrderBy(t => t.Value), read.Ids.OrderBy(t => t.Value));
        Assert.Equal(vocabulary.Merges, read.Merges);
    }
}
