using Microsoft.ML.Dpl.Prompts;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Prompts;

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
        using var supernet = new Supernet(NaiveEquivalenceTests.Branch([0, 2, 5], clip.Config.Vision, generator), NaiveEquivalenceTests.Branch([0, 2, 5], clip.Config.Text, generator));
        using var tower = new ImageTower(clip.Vision);
        int[][] texts = clip.RandomTexts(4, 3, 4, seed: 2);
        using var classTexts = new ClassTexts(texts, clip.Text);
        using ClipParts? parts = workers ? new ClipParts(clip.Vision, clip.Text, texts, workers: 2, threadsEach: 1) : null;
        var model = new PromptedClip(tower, new TextTower(clip.Text), classTexts, parts);
        Tensor images = randn([2, 3, 20, 20], generator: generator);
        void Step()
        {
            using var stepScope = NewDisposeScope();
            using var backward = new BackwardTensors();
            supernet.RequireGradients(ofAlphas: true, ofPrompts: true);
            model.Logits(images, supernet.Image, supernet.Text, backward).sum().backward();
        }
        Step();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;
        for (int i = 0; i < 5; i++) Step();
        Assert.InRange(Tensor.TotalCount - before, long.MinValue, 0);
    }
}
