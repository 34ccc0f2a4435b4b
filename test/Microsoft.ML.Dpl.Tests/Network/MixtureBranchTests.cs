using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Dpl.Tests.Network;

/// <summary>Compares a mixture of constant weights with the supernet it comes from, and with its folded form for prediction.</summary>
public sealed class MixtureBranchTests
{
    private static readonly int[] Candidates = [0, 2, 5];

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public void Logits_and_gradients_are_those_of_the_supernet_with_the_same_alphas(int workers)
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 5);
        using Generator generator = Seeds.Generator(6, "mixture");
        using var supernet = new Supernet(
            new BranchPair<SupernetBranch>(
                Text: NaiveEquivalenceTests.Branch(Candidates, clip.Config.Text, generator),
                Image: NaiveEquivalenceTests.Branch(Candidates, clip.Config.Image, generator)
            )
        );
        using MixtureBranch text = Constant(supernet.Branches.Text),
            image = Constant(supernet.Branches.Image);
        int[][] texts = clip.RandomTexts(6, 4, 5, seed: 1);
        Tensor images = randn([3, 3, 20, 20], generator: generator),
            labels = tensor(new long[] { 0, 3, 5 });
        using var tower = new ImageTower(clip.Image);
        using var classTexts = new ClassTexts(texts, clip.Text);
        using ClipParts? parts = workers == 0 ? null : new ClipParts(clip.Text, clip.Image, texts, workers, threadsEach: 1);
        var model = new PromptedClip(new TextTower(clip.Text), tower, classTexts, parts);

        supernet.RequireGradients(ofAlphas: false, ofPrompts: true);
        text.RequireGradients(true);
        image.RequireGradients(true);
        using var backward = new BackwardTensors();
        Tensor expected = model.Logits(images, supernet.Branches, backward),
            actual = model.Logits(images, new BranchPair<MixtureBranch>(text, image), backward);
        Close.Relative(expected.detach(), actual.detach(), 1e-6, "logits");
        F.cross_entropy(expected, labels).backward();
        F.cross_entropy(actual, labels).backward();
        foreach (var (own, original) in new[] { (text, supernet.Branches.Text), (image, supernet.Branches.Image) })
        {
            Assert.Equal(own.Rows.Count, own.Parameters.Count);
            for (int layer = 0; layer < own.Rows.Count; layer++)
                Close.Relative(original.Rows[layer].grad!, own.Rows[layer].grad, 1e-5, $"gradient of layer {layer}");
        }
    }

    [Fact]
    public void Without_a_wish_for_gradients_there_is_no_graph()
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 5);
        using Generator generator = Seeds.Generator(6, "mixture");
        using MixtureBranch image = RandomMixture.Branch(Candidates, clip.Config.Image, generator);
        using var tower = new ImageTower(clip.Image);
        using var backward = new BackwardTensors();
        Tensor images = randn([1, 3, 20, 20], generator: generator);
        Assert.False(tower.Forward(images, image.Layers(), backward).requires_grad);
        image.RequireGradients(true);
        Assert.True(tower.Forward(images, image.Layers(), backward).requires_grad);
        image.RequireGradients(false);
        Assert.False(tower.Forward(images, image.Layers(), backward).requires_grad);
    }

    public static TheoryData<string, int[], float[]> Weights =>
        new()
        {
            { "all in use", [0, 2, 5], [0.2f, 0.5f, 0.3f] },
            { "a candidate of weight 0", [0, 2, 5], [0.4f, 0f, 0.6f] },
            { "the plain block of weight 0", [0, 2, 5], [0f, 0.25f, 0.75f] },
            { "the plain block alone", [0, 2, 5], [1f, 0f, 0f] },
            { "one candidate of weight 1", [0, 2, 5], [0f, 0f, 1f] },
            { "a single candidate", [0, 3], [0.3f, 0.7f] },
            { "candidates of all lengths", [0, 1, 2, 3, 4, 5, 6], [0.1f, 0.1f, 0.2f, 0.05f, 0.15f, 0.3f, 0.1f] },
        };

    [Theory]
    [MemberData(nameof(Weights))]
    public void The_folded_tower_computes_the_same_features(string what, int[] candidates, float[] weights)
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 8);
        using Generator generator = Seeds.Generator(7, what);
        using MixtureBranch image = Weighted(candidates, weights, clip, generator);
        using var tower = new ImageTower(clip.Image);
        using var backward = new BackwardTensors();
        Tensor images = randn([3, 3, 20, 20], generator: generator);
        using var folded = new FoldedImageTower(clip.Image, image.Layers());
        Close.Relative(tower.Forward(images, image.Layers(), backward), folded.Forward(images), 1e-5, what);

        (Tensor features, IReadOnlyList<Tensor> attention) = folded.ForwardWithAttention(images);
        Close.Relative(folded.Forward(images), features.detach(), 1e-7, what);
        Assert.Equal(17 + candidates.Sum(), attention[0].shape[^1]);
        foreach (Tensor layer in attention)
        {
            Assert.All(layer.sum(-1).detach().data<float>().ToArray(), sum => Assert.Equal(1, sum, 1e-5f));
            Assert.True(layer.detach().min().item<float>() >= 0);
        }
    }

    [Fact]
    public void A_candidate_of_weight_1_is_a_fixed_length_and_the_plain_block_of_weight_1_is_plain_CLIP()
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 8);
        using Generator generator = Seeds.Generator(7, "limits");
        using MixtureBranch second = Weighted(Candidates, [0, 0, 1], clip, generator),
            plain = Weighted(Candidates, [1, 0, 0], clip, generator);
        Tensor images = randn([2, 3, 20, 20], generator: generator);
        using FoldedImageTower mixed = new(clip.Image, second.Layers()),
            @fixed = new(clip.Image, [.. second.Rows.Select(rows => rows.narrow(0, 2, 5))]),
            mixedPlain = new(clip.Image, plain.Layers()),
            zeroShot = new(clip.Image, new Tensor?[3]);
        Close.Relative(@fixed.Forward(images), mixed.Forward(images), 1e-5, "one candidate");
        Close.Relative(zeroShot.Forward(images), mixedPlain.Forward(images), 1e-5, "plain block");
    }

    /// <summary>Prompt scores so far above or below the tokens' that the exponentials of one would vanish beside the other's.</summary>
    [Theory]
    [InlineData(200)]
    [InlineData(-200)]
    [InlineData(70)]
    public void Scores_far_apart_leave_an_attention_that_sums_to_1(float lead)
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 8);
        using Generator generator = Seeds.Generator(7, "apart");
        using MixtureBranch image = Weighted(Candidates, [0.2f, 0.5f, 0.3f], clip, generator);
        using FoldedMixture mixture = FoldedMixture.From(image.Layers()[0]!)!;
        Tensor tokens = zeros(1, 1, 1, 4),
            attention = mixture.Attention(cat([tokens, full(1, 1, 1, 7, lead)], -1), 4);
        Assert.Equal(1, attention.sum().item<float>(), 1e-5f);
        // The tokens keep the plain block's share of the attention, however high the prompts score.
        Assert.Equal(lead > 0 ? 0.2f : 1f, attention.narrow(-1, 0, 4).sum().item<float>(), 1e-5f);
    }

    [Fact]
    public void The_branch_keeps_copies()
    {
        using var scope = NewDisposeScope();
        Tensor rows = ones(7, 4),
            weights = tensor(new[] { 0.25f, 0.25f, 0.5f }).view(1, 3);
        using var branch = MixtureBranch.From(Candidates, [rows], weights, CPU);
        rows.zero_();
        weights.zero_();
        LayerPrompt layer = Assert.Single(branch.Layers())!;
        Assert.Equal(1, layer.Rows.min().item<float>());
        Assert.Equal([0.25f, 0.25f, 0.5f], layer.Weights.data<float>().ToArray());
        Assert.Equal([0.25f, 0.25f, 0.5f], Assert.Single(branch.Weights));
    }

    public static TheoryData<int[], int, float[], string> Misfits =>
        new()
        {
            { [0, 2, 5], 7, [0.5f, 0.5f], "do not fit 1 layers and 3 candidates" },
            { [0, 2, 5], 6, [0.2f, 0.3f, 0.5f], "needs 7 prompt rows" },
            { [0, 2, 5], 7, [0.2f, 0.3f, 0.6f], "sum to 1.1" },
            { [0, 2, 5], 7, [-0.2f, 0.7f, 0.5f], "weight of -0.2" },
            { [0, 2, 5], 7, [float.NaN, 0.5f, 0.5f], "weight of NaN" },
            { [0, 2, 5], 7, [float.PositiveInfinity, 0.5f, 0.5f], "finite" },
            { [2, 5], 7, [0.5f, 0.5f], "the plain block comes first" },
            { [0, 1000, 1001], 2001, [0.5f, 0.25f, 0.25f], "1 to 1024 rows together" },
        };

    [Theory]
    [MemberData(nameof(Misfits))]
    public void What_is_no_mixture_is_refused(int[] candidates, int rows, float[] weights, string message)
    {
        using var scope = NewDisposeScope();
        Tensor values = zeros(rows, 4),
            layer = tensor(weights).view(1, -1);
        Assert.Contains(message, Assert.Throws<ArgumentException>(() => MixtureBranch.From(candidates, [values], layer, CPU)).Message);
    }

    [Fact]
    public void Branches_of_other_candidates_than_each_other_are_no_model()
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 5);
        using Generator generator = Seeds.Generator(6, "mixture");
        using MixtureBranch text = RandomMixture.Branch([0, 2], clip.Config.Text, generator),
            image = RandomMixture.Branch([0, 3], clip.Config.Image, generator);
        Assert.Contains(
            "0 2 and 0 3",
            Assert.Throws<ArgumentException>(() => PromptRows.From(new BranchPair<MixtureBranch>(text, image))).Message
        );
    }

    /// <summary>A mixture with the same weights in every layer.</summary>
    private static MixtureBranch Weighted(int[] candidates, float[] weights, RandomClip clip, Generator generator)
    {
        using Tensor layer = tensor(weights),
            all = layer.expand(clip.Config.Image.Layers, -1);
        return RandomMixture.Branch(candidates, clip.Config.Image, all, generator);
    }

    private static MixtureBranch Constant(SupernetBranch branch)
    {
        using var scope = NewDisposeScope();
        return MixtureBranch.From(branch.Candidates, branch.Rows, branch.Alphas.softmax(-1), CPU);
    }
}
