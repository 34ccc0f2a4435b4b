using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Network;

[Collection(RunsAlone.Name)]
public class TensorLeakTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_step_leaves_no_tensor_behind(bool workers)
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 3);
        using Generator generator = Seeds.Generator(4, "leak");
        using var supernet = NaiveEquivalenceTests.Supernet([0, 2, 5], clip.Config, generator);
        using var tower = new ImageTower(clip.Image);
        int[][] texts = clip.RandomTexts(4, 3, 4, seed: 2);
        using var classTexts = new ClassTexts(texts, clip.Text);
        using ClipParts? parts = workers ? new ClipParts(clip.Text, clip.Image, texts, workers: 2, threadsEach: 1) : null;
        var model = new PromptedClip(new TextTower(clip.Text), tower, classTexts, parts);
        Tensor images = randn([2, 3, 20, 20], generator: generator);
        void Step()
        {
            using var stepScope = NewDisposeScope();
            using var backward = new BackwardTensors();
            supernet.RequireGradients(ofAlphas: true, ofPrompts: true);
            model.Logits(images, supernet.Branches, backward).sum().backward();
        }
        LeavesNothing(Step);
    }

    [SkippableFact]
    public void A_prediction_with_packed_matrices_leaves_no_tensor_behind()
    {
        Skip.IfNot(FusedOperators.IsAvailable, "these operators are used on x64 Linux alone");
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 3);
        using Generator generator = Seeds.Generator(4, "leak");
        Tensor prompt = randn([2, clip.Config.Image.Width], generator: generator);
        Tensor images = randn([2, 3, 20, 20], generator: generator);
        void Predict()
        {
            using var own = NewDisposeScope();
            using PackedTower matrices = PackedTower.From(clip.Image);
            using var tower = new FoldedImageTower(clip.Image, [prompt, null, prompt]) { Packed = () => matrices };
            for (int i = 0; i < 3; i++)
                tower.Forward(images);
        }
        LeavesNothing(Predict);
    }

    [Fact]
    public void An_explanation_leaves_no_tensor_behind()
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 3);
        using Generator generator = Seeds.Generator(4, "leak");
        Tensor prompt = randn([2, clip.Config.Image.Width], generator: generator);
        using var tower = new FoldedImageTower(clip.Image, [prompt, null, prompt]);
        Tensor image = randn([1, 3, 20, 20], generator: generator),
            classes = PromptedClip.UnitRows(randn([4, clip.Config.EmbeddingWidth], generator: generator));
        void Explain() => Assert.Equal(16, PatchRelevance.Compute(tower, image, classes, 10, chosen: null).Patches.Length);
        LeavesNothing(Explain);
    }

    /// <summary>Repeats some work, and requires that as many tensors are alive afterwards as before.</summary>
    private static void LeavesNothing(Action work)
    {
        work();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;
        for (int i = 0; i < 5; i++)
            work();
        Assert.InRange(Tensor.TotalCount - before, long.MinValue, 0);
    }
}
