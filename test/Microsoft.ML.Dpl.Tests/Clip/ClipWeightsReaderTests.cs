using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.Network;
using Microsoft.ML.Dpl.Tests.TensorFiles;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Clip;

[Trait("Category", "Golden")]
public sealed class ClipWeightsReaderTests
{
    public ClipWeightsReaderTests() => LibTorch.EnsureLoaded();

    private static string OpenAIFile => GoldenFolder.At("tiny-b/clip.safetensors");

    [Fact]
    public void OpenAINamesGiveShapesAndFoldedConstants()
    {
        using var file = SafetensorsFile.Open(GoldenFolder.At("tiny-a/clip.safetensors"));
        ClipConfig config = OpenAIConfig.FromShapes(file);
        Assert.Equal(
            new ClipConfig
            {
                EmbeddingWidth = 64,
                Text = RandomClip.Tower(3, 128, 2, 512, ClipActivation.QuickGelu),
                ContextLength = 77,
                VocabularySize = 600,
                Image = RandomClip.Tower(3, 128, 2, 512, ClipActivation.QuickGelu),
                ImageSize = 32,
                PatchSize = 8,
            },
            config
        );

        using ImageWeights image = ClipWeightsReader.ReadImageTower(file, ClipNaming.OpenAI, config, CPU);
        using TextWeights text = ClipWeightsReader.ReadTextTower(file, ClipNaming.OpenAI, config, CPU);
        Assert.Equal([128, 3 * 8 * 8], image.PatchWeight.shape);
        Assert.Equal([17, 128], image.PositionEmbedding.shape);
        Assert.Equal([600, 128], text.TokenEmbedding.shape);
        Assert.All(image.Tensors.Concat(text.Tensors), t =>
            Assert.True(t.is_contiguous() && t.dtype == ScalarType.Float32 && !t.requires_grad)
        );

        using var scope = NewDisposeScope();
        Tensor raw = file.Read("transformer.resblocks.1.attn.in_proj_weight"),
            scaled = text.Blocks[1].QkvWeight;
        TensorAssert.BitEqual(raw[..128] / 8, scaled[..128]);
        TensorAssert.BitEqual(raw[128..], scaled[128..]);
        TensorAssert.BitEqual(file.Read("visual.transformer.resblocks.2.mlp.c_fc.bias") * 1.702, image.Blocks[2].UpBias);
        TensorAssert.BitEqual(file.Read("visual.transformer.resblocks.2.mlp.c_proj.weight") / 1.702, image.Blocks[2].DownWeight);
        TensorAssert.BitEqual(file.Read("visual.transformer.resblocks.2.mlp.c_proj.bias"), image.Blocks[2].DownBias);
        Assert.Equal(Math.Exp(file.Read("logit_scale").item<float>()), text.LogitScale);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void HuggingFaceNamesGiveTheSameBits(bool isSharded)
    {
        using var folder = new TemporaryFolder();
        string path = HuggingFaceFolder.WriteGolden(folder.FullPath, isSharded);
        ClipConfig config = ClipConfigReader.FromFile(folder.File("config.json"));
        using var openAI = SafetensorsFile.Open(OpenAIFile);
        using ITensorSource huggingFace = isSharded ? ShardedSafetensors.Open(path) : SafetensorsFile.Open(path);
        Assert.Equal(OpenAIConfig.FromShapes(openAI), config with { EndOfTextId = null });
        Assert.Equal(isSharded ? null : 499, config.EndOfTextId);

        using ImageWeights expectedImage = ClipWeightsReader.ReadImageTower(openAI, ClipNaming.OpenAI, config, CPU),
            image = ClipWeightsReader.ReadImageTower(huggingFace, ClipNaming.HuggingFace, config, CPU);
        using TextWeights expectedText = ClipWeightsReader.ReadTextTower(openAI, ClipNaming.OpenAI, config, CPU),
            text = ClipWeightsReader.ReadTextTower(huggingFace, ClipNaming.HuggingFace, config, CPU);
        foreach (var (expected, actual) in expectedImage.Tensors.Zip(image.Tensors))
            TensorAssert.BitEqual(expected, actual);
        foreach (var (expected, actual) in expectedText.Tensors.Zip(text.Tensors))
            TensorAssert.BitEqual(expected, actual);
        Assert.Equal(expectedText.LogitScale, text.LogitScale);
        Assert.All(image.Tensors.Concat(text.Tensors), t => Assert.True(t.is_contiguous()));
    }

    [Theory]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    public void HalfWidthWeightsAreWidenedBeforeFolding(ScalarType type)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        SafetensorsBytes.Rewrite(OpenAIFile, folder.File("half.safetensors"), (_, t) => t.to(type));
        using var half = SafetensorsFile.Open(folder.File("half.safetensors"));
        using ImageWeights image = ClipWeightsReader.ReadImageTower(half, ClipNaming.OpenAI, OpenAIConfig.FromShapes(half), CPU);
        Tensor stored = half.Read("visual.transformer.resblocks.0.mlp.c_fc.weight");
        Assert.Equal(type, stored.dtype);
        TensorAssert.BitEqual(stored.to(ScalarType.Float32) * 1.702, image.Blocks[0].UpWeight);
        TensorAssert.BitEqual(half.Read("visual.proj").to(ScalarType.Float32), image.Projection);
    }

    [Fact]
    public void ExactGeluIsNotFolded()
    {
        using var scope = NewDisposeScope();
        using var file = SafetensorsFile.Open(OpenAIFile);
        ClipConfig config = OpenAIConfig.FromShapes(file);
        using TextWeights text = ClipWeightsReader.ReadTextTower(
            file,
            ClipNaming.OpenAI,
            config with
            {
                Text = config.Text with { Activation = ClipActivation.Gelu },
            },
            CPU
        );
        TensorAssert.BitEqual(file.Read("transformer.resblocks.0.mlp.c_fc.weight"), text.Blocks[0].UpWeight);
        TensorAssert.BitEqual(file.Read("transformer.resblocks.0.mlp.c_proj.weight"), text.Blocks[0].DownWeight);
    }

    [Fact]
    public void ABranchNeedsOnlyItsOwnTensorsAndIgnoresOthers()
    {
        using var folder = new TemporaryFolder();
        string imageOnly = folder.File("vision.safetensors"),
            textOnly = folder.File("text.safetensors");
        SafetensorsBytes.Rewrite(OpenAIFile, imageOnly, (name, t) => name.StartsWith("visual.", StringComparison.Ordinal) ? t : null);
        SafetensorsBytes.Rewrite(OpenAIFile, textOnly, (name, t) => name == "visual.proj" ? zeros(77, ScalarType.Int64)
            : name.StartsWith("visual.", StringComparison.Ordinal) ? null
            : t);
        using SafetensorsFile whole = SafetensorsFile.Open(OpenAIFile),
            image = SafetensorsFile.Open(imageOnly),
            text = SafetensorsFile.Open(textOnly);
        ClipConfig config = OpenAIConfig.FromShapes(whole);
        ClipWeightsReader.ReadImageTower(image, ClipNaming.OpenAI, config, CPU).Dispose();
        ClipWeightsReader.ReadTextTower(text, ClipNaming.OpenAI, config, CPU).Dispose();
        Assert.Throws<InvalidDataException>(() => ClipWeightsReader.ReadTextTower(image, ClipNaming.OpenAI, config, CPU));
    }

    [Fact]
    public void MissingTensorsAreNamedTogether()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("cut.safetensors");
        SafetensorsBytes.Rewrite(OpenAIFile, path, (name, t) =>
            name.StartsWith("transformer.resblocks.1.", StringComparison.Ordinal) ? null : t
        );
        using SafetensorsFile whole = SafetensorsFile.Open(OpenAIFile),
            cut = SafetensorsFile.Open(path);
        string message = Assert
            .Throws<InvalidDataException>(() => ClipWeightsReader.Check(cut, ClipNaming.OpenAI, OpenAIConfig.FromShapes(whole)))
            .Message;
        Assert.StartsWith($"{path}: 12 tensors of this CLIP are missing: transformer.resblocks.1.ln_1.weight, ", message);
        Assert.Contains("and 7 more", message);
    }

    [Fact]
    public void AShapeThatContradictsTheConfigurationIsExplained()
    {
        using var folder = new TemporaryFolder();
        using var file = SafetensorsFile.Open(HuggingFaceFolder.WriteGolden(folder.FullPath));
        ClipConfig config = ClipConfigReader.FromFile(folder.File("config.json"));
        string Refusal(ClipConfig wrong) =>
            Assert.Throws<InvalidDataException>(() => ClipWeightsReader.Check(file, ClipNaming.HuggingFace, wrong)).Message;

        string message = Refusal(config with { EmbeddingWidth = 50 });
        Assert.Contains("'visual_projection.weight' has shape [48, 64], but should have [50, 64]", message);
        Assert.Contains("projection_dim", message);
        Assert.Contains("vision_config.image_size", Refusal(config with { ImageSize = 64 }));
        Assert.Contains("text_config.intermediate_size", Refusal(config with { Text = config.Text with { MlpWidth = 128 } }));
        Assert.Contains("text_model.encoder.layers.2.", Refusal(config with { Text = config.Text with { Layers = 3 } }));
        Assert.Contains(
            "text_model.encoder.layers.1.layer_norm1.weight', but the configuration has only 1",
            Refusal(config with { Text = config.Text with { Layers = 1 } })
        );
    }

    [Fact]
    public void WeightsOfOtherTypesAndUnusableLogitScalesAreRefused()
    {
        using var folder = new TemporaryFolder();
        string integers = folder.File("integers.safetensors"),
            infinite = folder.File("infinite.safetensors");
        SafetensorsBytes.Rewrite(OpenAIFile, integers, (name, t) => name == "visual.proj" ? t.to(ScalarType.Int8) : t);
        SafetensorsBytes.Rewrite(OpenAIFile, infinite, (name, t) => name == "logit_scale" ? tensor(float.PositiveInfinity) : t);
        using SafetensorsFile first = SafetensorsFile.Open(integers),
            second = SafetensorsFile.Open(infinite);
        ClipConfig config = OpenAIConfig.FromShapes(first);
        Assert.Contains(
            "'visual.proj' is I8",
            Assert.Throws<InvalidDataException>(() => ClipWeightsReader.Check(first, ClipNaming.OpenAI, config)).Message
        );
        Assert.Contains(
            "logit_scale",
            Assert.Throws<InvalidDataException>(() => ClipWeightsReader.ReadTextTower(second, ClipNaming.OpenAI, config, CPU)).Message
        );
    }

    [Fact]
    public void OpenAIShapesThatFitNoClipAreRefused()
    {
        using var folder = new TemporaryFolder();
        string Refusal(string name, Func<Tensor, Tensor?> change)
        {
            string path = folder.File($"{Guid.NewGuid()}.safetensors");
            SafetensorsBytes.Rewrite(OpenAIFile, path, (n, t) => n == name ? change(t) : t);
            using var file = SafetensorsFile.Open(path);
            return Assert.Throws<InvalidDataException>(() => OpenAIConfig.FromShapes(file)).Message;
        }
        Assert.Contains("no tensor 'text_projection'", Refusal("text_projection", _ => null));
        Assert.Contains("not a square number plus one", Refusal("visual.positional_embedding", t => t[..4]));
        Assert.Contains("4 dimensions", Refusal("token_embedding.weight", t => t.reshape(1, 1, 500, 64)));
        Assert.Contains("not a multiple of 64", Refusal("token_embedding.weight", t => t[.., ..60]));
        Assert.Contains("no transformer", Refusal("transformer.resblocks.0.attn.in_proj_weight", _ => null));
        Assert.Contains("no tensor 'visual.conv1.weight'", Refusal("visual.conv1.weight", _ => null));
        Assert.Contains("size of 0", Refusal("token_embedding.weight", t => t[..0]));
    }

    [Theory]
    [InlineData("visual.layer1.0.conv1.weight")]
    [InlineData("visual.attnpool.c_proj.weight")]
    public void AResNetIsRefusedInOneSentence(string name)
    {
        using Tensor one = ones(1);
        using var file = SafetensorsFile.FromBytes(SafetensorsBytes.Write([new(name, one)]), "RN50.safetensors");
        Assert.Equal(
            "RN50.safetensors: this CLIP's image tower is a ResNet; only vision transformers are supported, such as ViT-B/16.",
            Assert.Throws<InvalidDataException>(() => OpenAIConfig.FromShapes(file)).Message
        );
    }

    [Fact]
    public void ReadingLeaksNothingAndLeavesNothingToTheCallersScope()
    {
        using var file = SafetensorsFile.Open(OpenAIFile);
        ClipConfig config = OpenAIConfig.FromShapes(file);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        ImageWeights image;
        TextWeights text;
        using (var scope = NewDisposeScope())
        using (inference_mode())
        {
            image = ClipWeightsReader.ReadImageTower(file, ClipNaming.OpenAI, config, CPU);
            text = ClipWeightsReader.ReadTextTower(file, ClipNaming.OpenAI, config, CPU);
            Assert.Equal(0, scope.DisposablesCount);
        }
        Assert.All(image.Tensors.Concat(text.Tensors), t => Assert.False(t.IsInvalid));
        using (NewDisposeScope())
        {
            // Autograd cannot save tensors that were created in inference mode for the backward pass.
            ones([1, 64], requires_grad: true).matmul(image.Projection).sum().backward();
        }
        Assert.Equal(before + image.Tensors.Count() + text.Tensors.Count(), DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        image.Dispose();
        text.Dispose();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
