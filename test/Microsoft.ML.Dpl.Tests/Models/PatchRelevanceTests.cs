using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.Network;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Models;

public sealed class PatchRelevanceTests
{
    [Fact]
    public void The_attention_that_is_recorded_is_the_one_that_is_used()
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 8);
        using Generator generator = Seeds.Generator(5, "relevance");
        Tensor prompt = randn([2, clip.Config.Image.Width], generator: generator);
        using var tower = new FoldedImageTower(clip.Image, [null, prompt, prompt]);
        Tensor image = randn([1, 3, 20, 20], generator: generator);
        (Tensor features, IReadOnlyList<Tensor> attention) = tower.ForwardWithAttention(image);
        Assert.Equal(tower.Forward(image).data<float>().ToArray(), features.detach().data<float>().ToArray());
        Assert.Equal(
            [
                [1, 3, 17, 17],
                [1, 3, 17, 19],
                [1, 3, 1, 19],
            ],
            attention.Select(a => a.shape)
        );
        Assert.All(attention, a => Assert.All(a.sum(-1).detach().data<float>().ToArray(), sum => Assert.Equal(1, sum, 1e-5f)));
    }

    [Fact]
    public void Without_a_choice_the_most_probable_class_is_explained()
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 8);
        using Generator generator = Seeds.Generator(6, "relevance");
        using var tower = new FoldedImageTower(clip.Image, new Tensor?[3]);
        Tensor image = randn([1, 3, 20, 20], generator: generator),
            classes = PromptedClip.UnitRows(randn([5, clip.Config.EmbeddingWidth], generator: generator));
        float[] probabilities = PromptedClip.Logits(tower.Forward(image), classes, 20).softmax(-1).data<float>().ToArray();
        PatchRelevance likely = PatchRelevance.Compute(tower, image, classes, 20, chosen: null);
        Assert.Equal(Array.IndexOf(probabilities, probabilities.Max()), likely.Class);
        for (int c = 0; c < probabilities.Length; c++)
        {
            PatchRelevance one = PatchRelevance.Compute(tower, image, classes, 20, c);
            Assert.Equal((c, probabilities[c]), (one.Class, one.Probability));
            Assert.All(one.Patches, value => Assert.InRange(value, 0, float.MaxValue));
            Assert.Equal(c == likely.Class, one.Patches.SequenceEqual(likely.Patches));
        }
    }
}
