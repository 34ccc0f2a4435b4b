using System.Text;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.Network;

namespace Microsoft.ML.Dpl.Tests.Clip;

public sealed class ClipConfigReaderTests
{
    private static readonly ClipConfig Defaults = new()
    {
        EmbeddingWidth = 512,
        Text = RandomClip.Tower(12, 512, 8, 2048, ClipActivation.QuickGelu),
        ContextLength = 77,
        VocabularySize = 49408,
        EndOfTextId = 49407,
        Image = RandomClip.Tower(12, 768, 12, 3072, ClipActivation.QuickGelu),
        ImageSize = 224,
        PatchSize = 32,
    };

    public static TheoryData<string, string> Faults =>
        new()
        {
            { """{}""", "model_type is missing" },
            { """{"model_type":"siglip"}""", "model_type is 'siglip'" },
            { """{"model_type":7}""", "model_type is 7" },
            { """[]""", "not a JSON object" },
            { """{"model_type":"clip",}""", "not JSON" },
            { """{"model_type":"clip","projection_dim":0}""", "projection_dim is 0" },
            { """{"model_type":"clip","projection_dim":-512}""", "projection_dim is -512" },
            { """{"model_type":"clip","projection_dim":1e99}""", "projection_dim is 1e99" },
            { """{"model_type":"clip","projection_dim":"512"}""", "projection_dim is \"512\"" },
            { """{"model_type":"clip","projection_dim":null}""", "projection_dim is null" },
            { """{"model_type":"clip","text_config":[]}""", "text_config is not an object" },
            { """{"model_type":"clip","text_config":{"hidden_size":2147483647}}""", "text_config.hidden_size is 2147483647" },
            {
                """{"model_type":"clip","text_config":{"hidden_size":510}}""",
                "text_config.hidden_size is 510, which num_attention_heads 8"
            },
            { """{"model_type":"clip","text_config":{"num_hidden_layers":0}}""", "text_config.num_hidden_layers is 0" },
            { """{"model_type":"clip","text_config":{"vocab_size":9000000000000}}""", "text_config.vocab_size is 9000000000000" },
            { """{"model_type":"clip","text_config":{"max_position_embeddings":77.5}}""", "text_config.max_position_embeddings is 77.5" },
            { """{"model_type":"clip","text_config":{"hidden_act":"gelu_new"}}""", "text_config.hidden_act is 'gelu_new'" },
            { """{"model_type":"clip","text_config":{"eos_token_id":-1}}""", "text_config.eos_token_id is -1" },
            {
                """{"model_type":"clip","text_config":{"vocab_size":500}}""",
                "text_config.eos_token_id is 49407, but ids must be below vocab_size 500"
            },
            { """{"model_type":"clip","text_config_dict":{"num_attention_heads":7}}""", "text_config_dict.hidden_size is 512" },
            { """{"model_type":"clip","vision_config":{"num_attention_heads":0}}""", "vision_config.num_attention_heads is 0" },
            { """{"model_type":"clip","vision_config":{"intermediate_size":-1}}""", "vision_config.intermediate_size is -1" },
            { """{"model_type":"clip","vision_config":{"image_size":100000}}""", "vision_config.image_size is 100000" },
            {
                """{"model_type":"clip","vision_config":{"patch_size":225}}""",
                "vision_config.patch_size is 225, larger than image_size 224"
            },
            { """{"model_type":"clip","vision_config":{"num_channels":1}}""", "vision_config.num_channels is 1" },
            { """{"model_type":"clip","vision_config":{"layer_norm_eps":0}}""", "vision_config.layer_norm_eps is 0" },
            { """{"model_type":"clip","vision_config":{"hidden_act":"relu"}}""", "vision_config.hidden_act is 'relu'" },
        };

    [Fact]
    public void OmittedFieldsHaveTransformersDefaults()
    {
        Assert.Equal(Defaults, Parse("""{"model_type":"clip"}"""));
        Assert.Equal(Defaults, Parse("""{"model_type":"clip","text_config":{},"vision_config":null,"text_config_dict":null}"""));
        Assert.Equal(7, Defaults.Grid);
    }

    [Fact]
    public void TheLegacyCopyOfASectionWinsAsAWhole()
    {
        ClipConfig config = Parse(
            """
            {"model_type":"clip","projection_dim":768,
             "text_config":{"hidden_size":512,"num_hidden_layers":3},"text_config_dict":{"hidden_size":768,"num_attention_heads":12,"intermediate_size":3072},
             "vision_config":{"patch_size":32},"vision_config_dict":{"patch_size":14}}
            """
        );
        Assert.Equal(
            Defaults with
            {
                EmbeddingWidth = 768,
                PatchSize = 14,
                Text = RandomClip.Tower(12, 768, 12, 3072, ClipActivation.QuickGelu),
            },
            config
        );
    }

    [Fact]
    public void TheLegacyEndOfTextIdMeansTheHighestId()
    {
        Assert.Null(Parse("""{"model_type":"clip","text_config":{"eos_token_id":2}}""").EndOfTextId);
        Assert.Equal(9, Parse("""{"model_type":"clip","text_config":{"eos_token_id":9}}""").EndOfTextId);
    }

    [Theory]
    [InlineData(512, 224, 32, 768, 12, 512, 8, 49)]
    [InlineData(512, 224, 16, 768, 12, 512, 8, 196)]
    [InlineData(768, 224, 14, 1024, 24, 768, 12, 256)]
    [InlineData(768, 336, 14, 1024, 24, 768, 12, 576)]
    public void OpenAIsModelsHaveTheirKnownShapes(
        int embedding,
        int image,
        int patch,
        int imageWidth,
        int imageLayers,
        int textWidth,
        int textHeads,
        int patches
    )
    {
        ClipConfig config = Parse(
            $$"""
            {"model_type":"clip","projection_dim":{{embedding}},
             "text_config":{"hidden_size":{{textWidth}},"intermediate_size":{{4
                * textWidth}},"num_attention_heads":{{textHeads}},"num_hidden_layers":12,"eos_token_id":2},
             "vision_config":{"hidden_size":{{imageWidth}},"intermediate_size":{{4 * imageWidth}},"num_attention_heads":{{imageWidth
                / 64}},"num_hidden_layers":{{imageLayers}},"image_size":{{image}},"patch_size":{{patch}} } }
            """
        );
        Assert.Equal(patches, config.Grid * config.Grid);
        Assert.Equal(64, config.Image.Width / config.Image.Heads);
        Assert.Equal(64, config.Text.Width / config.Text.Heads);

        var shapes = ClipLayout.Image(config).Concat(ClipLayout.Text(config)).ToDictionary(t => t.Name, t => t.Shape);
        Assert.Equal(14 + (12 * (imageLayers + 12)), shapes.Count);
        Assert.Equal([1 + patches, imageWidth], shapes["visual.positional_embedding"]);
        Assert.Equal([imageWidth, 3, patch, patch], shapes["visual.conv1.weight"]);
        Assert.Equal([imageWidth, embedding], shapes["visual.proj"]);
        Assert.Equal([49408, textWidth], shapes["token_embedding.weight"]);
        Assert.Equal([3 * textWidth, textWidth], shapes["transformer.resblocks.11.attn.in_proj_weight"]);
        Assert.Equal([imageWidth, 4 * imageWidth], shapes[$"visual.transformer.resblocks.{imageLayers - 1}.mlp.c_proj.weight"]);
    }

    [Fact]
    public void ASmallClipWithMostFieldsOmittedIsRead()
    {
        ClipConfig config = ClipConfigReader.FromFile(GoldenFolder.At("config/tinyclip-vit-8m-16.config.json"));
        Assert.Equal(
            Defaults with
            {
                PatchSize = 16,
                Image = RandomClip.Tower(10, 256, 4, 1024, ClipActivation.Gelu),
                Text = RandomClip.Tower(3, 256, 4, 1024, ClipActivation.Gelu),
            },
            config
        );
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public void AFaultIsRefusedWithTheFileAndTheField(string json, string reason)
    {
        var error = Assert.Throws<InvalidDataException>(() => Parse(json));
        Assert.StartsWith("folder/config.json: ", error.Message);
        Assert.Contains(reason, error.Message);
    }

    [Fact]
    public void BytesThatAreNotUtf8AreRefused() =>
        Assert.Throws<InvalidDataException>(() => ClipConfigReader.Parse(Encoding.Latin1.GetBytes("""{"model_type":"é"}"""), "x"));

    private static ClipConfig Parse(string json) => ClipConfigReader.Parse(Encoding.UTF8.GetBytes(json), "folder/config.json");
}
