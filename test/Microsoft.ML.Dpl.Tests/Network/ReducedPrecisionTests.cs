using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Dpl.Tests.Network;

/// <summary>Steps whose matrix products are bfloat16: close to float32, everything that is stored is float32, evaluation is
/// unaffected.</summary>
public class ReducedPrecisionTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public void Bfloat16_steps_lie_near_to_float32_and_have_the_same_bits_every_time(int workers)
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 5);
        using Generator generator = Seeds.Generator(6, "bfloat16");
        using var supernet = NaiveEquivalenceTests.Supernet([0, 2, 5], clip.Config, generator);
        int[][] texts = clip.RandomTexts(9, 3, 5, seed: 8);
        Tensor images = randn([4, 3, 20, 20], generator: generator),
            labels = tensor(new long[] { 0, 3, 5, 8 });
        supernet.RequireGradients(ofAlphas: true, ofPrompts: true);
        using var steps = new StepBlocks(clip.Text, clip.Image);
        (Tensor Logits, Tensor[] Gradients) Step(StepBlocks? blocks)
        {
            using ImageTower tower = new(clip.Image, blocks);
            using var classTexts = new ClassTexts(texts, clip.Text);
            using ClipParts? parts = workers == 0 ? null : new ClipParts(clip.Text, clip.Image, texts, workers, threadsEach: 1, blocks);
            using var backward = new BackwardTensors();
            Parameter[] parameters = [.. supernet.Alphas, .. supernet.Prompts];
            foreach (Parameter parameter in parameters)
                parameter.grad = null;
            Tensor logits = new PromptedClip(new TextTower(clip.Text, blocks), tower, classTexts, parts).Logits(
                images,
                supernet.Branches,
                backward
            );
            F.cross_entropy(logits, labels).backward();
            return (logits.detach(), [.. parameters.Select(p => p.grad!.clone())]);
        }
        var (expected, expectedGradients) = Step(null);
        var (actual, gradients) = Step(steps);
        var (again, gradientsAgain) = Step(steps);

        Assert.Equal(ScalarType.Float32, actual.dtype);
        Assert.False(expected.equal(actual).all().item<bool>(), "nothing was rounded");
        Close.Relative(expected, actual, 0.03, "logits");
        Assert.True(actual.equal(again).all().item<bool>(), "logits have other bits the second time");
        for (int i = 0; i < gradients.Length; i++)
        {
            Assert.Equal(ScalarType.Float32, gradients[i].dtype);
            Assert.InRange(F.cosine_similarity(expectedGradients[i].flatten(), gradients[i].flatten(), 0).item<float>(), 0.99, 1.01);
            Assert.True(gradients[i].equal(gradientsAgain[i]).all().item<bool>(), $"gradient {i} has other bits the second time");
        }
    }

    /// <summary>A thousand endings after one prefix: the gradients of the prefix's rows are long sums, which bfloat16 could not
    /// represent.</summary>
    [Fact]
    public void Sums_over_many_classes_are_float32()
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 5);
        using Generator generator = Seeds.Generator(7, "many classes");
        using SupernetBranch prompts = NaiveEquivalenceTests.Branch([0, 2], clip.Config.Text, generator);
        prompts.RequireGradients(ofAlphas: false, ofPrompts: true);
        // Half of the texts share one more token.
        int[][] texts =
        [
            .. Enumerable
                .Range(0, 1000)
                .Select(c => (int[])[48, 1, 2, 3, .. c % 2 == 0 ? [4, 1 + c / 2 % 45, 1 + c / 90] : new[] { 5 + c % 40, c / 40 }, 49]),
        ];
        Tensor weights = rand([1000, clip.Config.EmbeddingWidth], generator: generator);
        using var steps = new StepBlocks(clip.Text, clip.Image);
        Tensor Gradient(StepBlocks? blocks)
        {
            using var classTexts = new ClassTexts(texts, clip.Text);
            using var backward = new BackwardTensors();
            foreach (Parameter parameter in prompts.Parameters)
                parameter.grad = null;
            (PromptedClip.UnitRows(new TextTower(clip.Text, blocks).Forward(classTexts, prompts.Layers(), backward)) * weights)
                .sum()
                .backward();
            return prompts.Rows[0].grad!.clone();
        }
        Close.Relative(Gradient(null), Gradient(steps), 0.03, "gradient of the first layer's prompts");
    }

    [Fact]
    public void Rows_between_layers_are_float32()
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 5);
        using Generator generator = Seeds.Generator(10, "rows");
        using var steps = new StepBlocks(clip.Text, clip.Image);
        using var noGrad = no_grad();
        // bfloat16 has no numbers between 1024 and 1032.
        Tensor rows = 1024 + randn([5, clip.Config.Text.Width], generator: generator),
            attended = randn([5, clip.Config.Text.Width], generator: generator);
        Tensor expected = PromptedBlock.Finish(clip.Text.Blocks[0], clip.Config.Text, rows, attended) - rows;
        Close.Relative(
            expected,
            PromptedBlock.Finish(steps.Text[0], clip.Config.Text, rows, attended.to(ScalarType.BFloat16)) - rows,
            0.05,
            "what a block adds"
        );
    }

    [Fact]
    public void Workers_compute_both_branches_with_the_blocks_of_steps()
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 5);
        using Generator generator = Seeds.Generator(11, "workers");
        using var steps = new StepBlocks(clip.Text, clip.Image);
        using var noGrad = no_grad();
        using var backward = new BackwardTensors();
        int[][] texts = clip.RandomTexts(6, 4, 5, seed: 1);
        Tensor images = randn([2, 3, 20, 20], generator: generator);
        using ClipParts exact = new(clip.Text, clip.Image, texts, workers: 2, threadsEach: 1),
            rounded = new(clip.Text, clip.Image, texts, workers: 2, threadsEach: 1, steps);
        using var tower = new ImageTower(clip.Image, steps);
        IReadOnlyList<LayerPrompt?> image = new PlainBranch(clip.Config.Image.Layers).Layers(),
            text = new PlainBranch(clip.Config.Text.Layers).Layers();
        for (int worker = 0; worker < 2; worker++)
        {
            Tensor ofImages = rounded.Image(worker).Forward(images, image, backward),
                ofTexts = rounded.Text.Forward(rounded.Texts(worker)!, text, backward);
            Assert.True(ofImages.equal(tower.Forward(images, image, backward)).all().item<bool>());
            Assert.False(
                ofImages.equal(exact.Image(worker).Forward(images, image, backward)).all().item<bool>(),
                "image products are not rounded"
            );
            Assert.True(ofTexts.equal(new TextTower(clip.Text, steps).Forward(rounded.Texts(worker)!, text, backward)).all().item<bool>());
            Assert.False(
                ofTexts.equal(exact.Text.Forward(exact.Texts(worker)!, text, backward)).all().item<bool>(),
                "text products are not rounded"
            );
        }
    }

    [Fact]
    public void Evaluation_has_the_bits_of_float32()
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 5);
        using Generator generator = Seeds.Generator(6, "evaluation");
        int[][] texts = clip.RandomTexts(6, 4, 5, seed: 1);
        Tensor images = randn([2, 3, 20, 20], generator: generator);
        // The first layers have no prompt, and their outputs are cached separately for each kind of block.
        using var image = FixedBranch.Create([2, 0, 5], clip.Config.Image.Width, PromptDistribution.Normal(1), generator, CPU);
        using var text = FixedBranch.Create([0, 3], clip.Config.Text.Width, PromptDistribution.Normal(1), generator, CPU);
        using var steps = new StepBlocks(clip.Text, clip.Image);
        using ImageTower exactTower = new(clip.Image),
            tower = new(clip.Image, steps);
        using ClassTexts exactTexts = new(texts, clip.Text),
            classTexts = new(texts, clip.Text);
        PromptedClip exact = new(new TextTower(clip.Text), exactTower, exactTexts),
            rounded = new(new TextTower(clip.Text, steps), tower, classTexts);
        using Tensor expected = exact.ClassFeatures(text);
        for (int i = 0; i < 2; i++)
        {
            using var backward = new BackwardTensors();
            rounded.Logits(images, new BranchPair<FixedBranch>(text, image), backward);
            using Tensor actual = rounded.ClassFeatures(text);
            Assert.True(expected.equal(actual).all().item<bool>());
        }
        using var folded = new FoldedImageTower(tower.Weights, image.Rows);
        using var exactFolded = new FoldedImageTower(clip.Image, image.Rows);
        Assert.True(exact.ImageFeatures(exactFolded, images).equal(rounded.ImageFeatures(folded, images)).all().item<bool>());
    }

    [Fact]
    public void The_switch_for_tensor_float32_is_put_back_by_whoever_is_last()
    {
        LibTorch.EnsureLoaded();
        bool before = backends.cuda.matmul.allow_tf32;
        try
        {
            foreach (bool found in new[] { false, true })
            {
                backends.cuda.matmul.allow_tf32 = found;
                IDisposable first = TensorFloat32.Allow(),
                    second = TensorFloat32.Allow();
                Assert.True(backends.cuda.matmul.allow_tf32);
                first.Dispose();
                first.Dispose();
                Assert.True(backends.cuda.matmul.allow_tf32);
                second.Dispose();
                Assert.Equal(found, backends.cuda.matmul.allow_tf32);
            }
        }
        finally
        {
            backends.cuda.matmul.allow_tf32 = before;
        }
    }
}
