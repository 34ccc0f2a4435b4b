using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Clip;

public sealed class ClipWeightsReaderTests
{
    public ClipWeightsReaderTests() => LibTorch.EnsureLoaded();

    [SkippableFact]
    [Trait("Category", "Golden")]
    public void OpenAINamesGiveShapesAndFoldedConstants()
    {
        using var file = SafetensorsFile.Open(SharedData.Require("golden/tiny-a/clip.safetensors"));
        ClipConfig config = OpenAIConfig.FromShapes(file);
        Assert.Equal((64, 32, 8, 77, 600), (config.EmbeddingWidth, config.ImageSize, config.PatchSize, config.ContextLength, config.VocabularySize));
        Assert.Null(config.EndOfTextId);
        Assert.Equal(new ClipTransformerConfig(3, 128, 2, 512, ClipActivation.QuickGelu, 1e-5), config.Vision);
        Assert.Equal(new ClipTransformerConfig(3, 128, 2, 512, ClipActivation.QuickGelu, 1e-5), config.Text);

        using VisionWeights vision = ClipWeightsReader.ReadVision(file, ClipNaming.OpenAI, config, CPU);
        using TextWeights text = ClipWeightsReader.ReadText(file, ClipNaming.OpenAI, config, CPU);
        Assert.Equal([128, 3 * 8 * 8], vision.PatchWeight.shape);
        Assert.Equal([17, 128], vision.PositionEmbedding.shape);
        Assert.Equal([600, 128], text.TokenEmbedding.shape);
        Assert.All(vision.Tensors.Concat(text.Tensors), t => Assert.True(t.is_contiguous() && t.dtype == ScalarType.Float32 && !t.requires_grad));

        using Tensor raw = file.Read("transformer.resblocks.1.attn.in_proj_weight");
        using Tensor scaled = text.Blocks[1].QkvWeight;
        TensorAssert.BitEqual(raw[..128] / 8, scaled[..128]);
        TensorAssert.BitEqual(raw[128..], scaled[128..]);
        using Tensor down = file.Read("visual.transformer.resblocks.2.mlp.c_proj.weight");
        TensorAssert.BitEqual(down / 1.702, vision.Blocks[2].DownWeight);
        using Tensor logScale = file.Read("logit_scale");
        Assert.Equal(Math.Exp(logScale.item<float>()), text.LogitScale);
    }
}
