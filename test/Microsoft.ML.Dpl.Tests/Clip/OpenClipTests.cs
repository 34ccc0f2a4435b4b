using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.Hub;
using Microsoft.ML.Dpl.Tests.Network;
using Microsoft.ML.Dpl.Tests.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Clip;

/// <summary>A folder in open_clip's layout, with its own configuration and tensor names, gives the same frozen CLIP.</summary>
public sealed class OpenClipTests : IDisposable
{
    private const string ConfigFile = "open_clip_config.json",
        Weights = "open_clip_model.safetensors";

    private readonly TemporaryFolder _folder = new();
    private readonly RandomClip _clip = new(
        RandomClip.Shape(imageSize: 24, patch: 8, activation: ClipActivation.Gelu) with
        {
            VocabularySize = 515,
            ContextLength = 48,
        },
        seed: 6
    );

    public OpenClipTests()
    {
        using var small = new SmallBackbone();
        foreach (string name in (string[])["vocab.json", "merges.txt"])
            File.Copy(Path.Combine(small.Folder, name), _folder.File(name));
    }

    public void Dispose()
    {
        _clip.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("")]
    [InlineData("text.")] // the prefix that models with a separate text tower use
    public void A_folder_of_open_clip_is_opened(string textPrefix)
    {
        Write(Config(), textPrefix);
        var backbone = ClipBackbone.FromFolder(_folder.FullPath);
        Assert.Equal(_clip.Config, backbone.Config);
        using Lease<ImageWeights> image = backbone.RentImageTower(CPU);
        using Lease<TextWeights> text = backbone.RentTextTower(CPU);
        foreach (var (read, made) in image.Value.Tensors.Zip(_clip.Image.Tensors).Concat(text.Value.Tensors.Zip(_clip.Text.Tensors)))
            Assert.True(read.bytes.SequenceEqual(made.bytes));
        ClipImageProcessorConfig preprocessing = backbone.ReadPreprocessing();
        Assert.Equal((24, 24), (preprocessing.ShortSide, preprocessing.CropSize));
        Assert.Equal([0.5f, 0.25f, 0.125f], preprocessing.Mean);
        Assert.Equal([1f, 2f, 3f], preprocessing.Deviation);
        Assert.Equal([Weights, "vocab.json", "merges.txt", ConfigFile], backbone.FilePaths.Select(Path.GetFileName));
    }

    [Fact]
    public void Its_weights_alone_are_never_taken_for_OpenAIs()
    {
        // The tensor names are the same as OpenAI's but the activation differs, so the model would silently be less accurate.
        Write(Config(), "");
        var backbone = ClipBackbone.Open(_folder.File(Weights));
        Assert.Equal((_folder.FullPath, ClipActivation.Gelu), (backbone.Location, backbone.Config.Image.Activation));
        Assert.Contains(
            "open the folder",
            Assert.Throws<InvalidDataException>(() => ClipBackbone.FromOpenAI(_folder.File(Weights), _folder.FullPath)).Message
        );
        File.Delete(_folder.File(ConfigFile));
        Assert.Contains(ConfigFile, Assert.Throws<InvalidDataException>(() => ClipBackbone.Open(_folder.File(Weights))).Message);
    }

    [Fact]
    public void A_configuration_beside_it_that_is_not_in_UTF8_is_passed_over()
    {
        Write(Config(), "");
        File.WriteAllBytes(_folder.File("config.json"), [.. "{\"model_type\": \""u8, 0xff, .. "\"}"u8]);
        File.WriteAllBytes(_folder.File("model.safetensors"), [0]);
        Assert.Equal(_clip.Config, ClipBackbone.FromFolder(_folder.FullPath).Config);
    }

    [Fact]
    public void It_comes_from_the_hub_by_name_even_beside_another_models_configuration()
    {
        Write(Config(), "");
        using var hub = new HubFixture();
        hub.Server.Files.Clear();
        foreach (string path in Directory.GetFiles(_folder.FullPath))
            hub.Server.Files[Path.GetFileName(path)] = File.ReadAllBytes(path);
        hub.Server.Files["config.json"] = "{\"architecture\": \"vit_base_patch16_clip_224\"}"u8.ToArray();
        hub.Server.Files["model.safetensors"] = [0];
        ClipBackbone backbone = hub.Open();
        Assert.Equal(_clip.Config, backbone.Config);
        Assert.Empty(hub.Server.Gets("model.safetensors"));
    }

    [Theory]
    [InlineData("model_cfg.vision_cfg.layers", "[3, 4, 6, 3]", "ResNet")]
    [InlineData("model_cfg.vision_cfg.timm_model_name", "\"vit_base\"", "timm_model_name")]
    [InlineData("model_cfg.vision_cfg.pool_type", "\"avg\"", "only 'tok'")]
    [InlineData("model_cfg.text_cfg.hf_model_name", "\"roberta-base\"", "hf_model_name")]
    [InlineData("model_cfg.text_cfg.proj_type", "\"mlp\"", "only 'linear'")]
    [InlineData("model_cfg.init_logit_bias", "-10", "init_logit_bias")]
    [InlineData("model_cfg.multimodal_cfg", "{}", "multimodal_cfg")]
    [InlineData("model_cfg.vision_cfg.head_width", "7", "head_width 7")]
    [InlineData("model_cfg.embed_dim", "24", "open_clip_config.json requires that")]
    [InlineData("preprocess_cfg.interpolation", "\"bilinear\"", "only bicubic")]
    [InlineData("preprocess_cfg.std", "[1, 0, 1]", "not positive")]
    [InlineData("preprocess_cfg.std", "[1, 1e-20, 1]", "far from")]
    [InlineData("preprocess_cfg.mean", "[1e999, 0, 0]", "far from")]
    public void Other_networks_are_refused_by_their_field(string field, string value, string message)
    {
        JsonObject config = Config();
        JsonNode section = config;
        string[] path = field.Split('.');
        foreach (string part in path[..^1])
            section = section[part]!;
        section[path[^1]] = JsonNode.Parse(value);
        Write(config, "");
        Assert.Contains(
            message,
            Assert.Throws<InvalidDataException>(() => ClipBackbone.FromFolder(_folder.FullPath).ReadPreprocessing()).Message
        );
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_tokenizer_json_serves_as_vocabulary(bool pairsAsText)
    {
        ClipVocabulary before = new VocabularyFiles(_folder.File("vocab.json"), _folder.File("merges.txt")).Read();
        object[] merges = [.. before.Merges.Select(pair => pairsAsText ? (object)pair : pair.Split(' '))];
        string Json(string suffix) =>
            JsonSerializer.Serialize(
                new
                {
                    model = new
                    {
                        type = "BPE",
                        end_of_word_suffix = suffix,
                        vocab = before.Ids,
                        merges,
                    },
                }
            );
        File.WriteAllText(_folder.File("tokenizer.json"), Json("</w>"));
        File.Delete(_folder.File("vocab.json"));
        Write(Config(), "");
        var backbone = ClipBackbone.FromFolder(_folder.FullPath);
        Assert.Equal(_folder.File("tokenizer.json"), backbone.Files!.VocabularyPath);
        ClipVocabulary after = backbone.ReadVocabulary();
        Assert.Equal(before.Ids.OrderBy(id => id.Value), after.Ids.OrderBy(id => id.Value));
        Assert.Equal(before.Merges, after.Merges);

        File.WriteAllText(_folder.File("tokenizer.json"), Json(""));
        Assert.Contains("'</w>'", Assert.Throws<InvalidDataException>(backbone.ReadVocabulary).Message);
        File.WriteAllText(_folder.File("tokenizer.json"), "{\"model\": {}}");
        Assert.Contains("not a byte-pair tokenizer", Assert.Throws<InvalidDataException>(backbone.ReadVocabulary).Message);
        File.WriteAllText(_folder.File("tokenizer.json"), "{");
        Assert.Contains("not JSON", Assert.Throws<InvalidDataException>(backbone.ReadVocabulary).Message);
    }

    private JsonObject Config() =>
        JsonSerializer
            .SerializeToNode(
                new
                {
                    model_cfg = new
                    {
                        embed_dim = _clip.Config.EmbeddingWidth,
                        vision_cfg = new
                        {
                            image_size = 24,
                            patch_size = 8,
                            width = 24,
                            layers = 3,
                            head_width = 8,
                            mlp_ratio = 3.0,
                        },
                        text_cfg = new
                        {
                            context_length = 48,
                            vocab_size = 515,
                            width = 32,
                            heads = 2,
                            layers = 2,
                        },
                    },
                    preprocess_cfg = new { mean = new[] { 0.5, 0.25, 0.125 }, std = new[] { 1.0, 2.0, 3.0 } },
                }
            )!
            .AsObject();

    private void Write(JsonObject config, string textPrefix)
    {
        File.WriteAllText(_folder.File(ConfigFile), config.ToJsonString());
        using var scope = NewDisposeScope();
        string Name(string name) =>
            name == "logit_scale" || name.StartsWith("visual.", StringComparison.Ordinal) ? name : textPrefix + name;
        File.WriteAllBytes(
            _folder.File(Weights),
            SafetensorsBytes.Write(_clip.Entries.Keys.Select(name => KeyValuePair.Create(Name(name), _clip.Read(name))))
        );
    }
}
