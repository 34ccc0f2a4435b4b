using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Tests.Network;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Attention;

/// <summary>Attention along each text's rows, checked against libtorch's operations: the features, and all requested gradients.</summary>
public class PathAttentionTests
{
    public enum Asked
    {
        Alphas,
        Prompts,
        Both,
    }

    [Theory]
    [InlineData(32, 2, Asked.Both, 1, 1)]
    [InlineData(32, 2, Asked.Alphas, 1, 1)]
    [InlineData(32, 2, Asked.Prompts, 1, 1)]
    [InlineData(30, 3, Asked.Both, 1, 1)] // the head width is not a multiple of the SIMD vector's length
    [InlineData(12, 3, Asked.Both, 1, 1)] // the head is narrower than one SIMD vector
    [InlineData(32, 2, Asked.Both, 100, 50)] // scores far apart: a candidate's share vanishes, nothing becomes NaN
    public void Searching_equals_libtorch(int width, int heads, Asked asked, double promptScale, double alphaScale)
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(textWidth: width, textHeads: heads, textLayers: 3), seed: 5);
        using Generator generator = Seeds.Generator(6, "paths");
        using var branch = new SupernetBranch(
            [0, 1, 2, 5],
            randn(3, 4, generator: generator) * alphaScale,
            [.. Enumerable.Range(0, 3).Select(_ => randn(8, width, generator: generator) * promptScale)]
        );
        branch.RequireGradients(ofAlphas: asked != Asked.Prompts, ofPrompts: asked != Asked.Alphas);
        Check(clip, branch, [branch.Alphas, .. branch.Rows]);
    }

    [Theory]
    [InlineData(0, 3, 2)]
    [InlineData(2, 0, 0)] // plain layers after a prompted one
    [InlineData(0, 0, 4)] // only the last layer has prompts
    [InlineData(1, 1, 1)]
    public void Fixed_lengths_equal_libtorch(params int[] lengths)
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(textLayers: 3), seed: 5);
        using Generator generator = Seeds.Generator(7, "paths");
        using var branch = FixedBranch.Create(lengths, clip.Config.Text.Width, PromptDistribution.Normal(1), generator, CPU);
        branch.RequireGradients(true);
        Check(clip, branch, branch.Parameters);
    }

    [Fact]
    public void Plain_texts_equal_libtorch()
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 5);
        using ClassTexts theirs = new(Texts(clip), clip.Text),
            ours = new(Texts(clip), clip.Text, onOneThread: true);
        var tower = new TextTower(clip.Text);
        Close.Relative(tower.UnitFeatures(theirs, new PlainBranch(2)), tower.UnitFeatures(ours, new PlainBranch(2)), 1e-5, "features");
    }

    [Fact]
    public void A_path_leads_from_the_first_token_to_the_query()
    {
        // Each row's predecessor: 0 1 2, then 3 and 4 follow 2, 5 follows 3, and 6 starts a new path.
        int[] before = [-1, 0, 1, 2, 2, 3, -1];
        var all = new RowPaths(before);
        Assert.Equal((7, 5), (all.Count, all.Longest));
        Assert.Equal([0, 1, 3, 6, 10, 14, 19, 20], all.Starts);
        Assert.Equal([0, 1, 2, 3, 5], all.Keys[14..19]);
        var some = new RowPaths(before, [4, 6]);
        Assert.Equal([0, 1, 2, 4, 6], some.Keys);
        Assert.Equal([0, 4, 5], some.Starts);
    }

    private static void Check(RandomClip clip, IPromptedBranch branch, IReadOnlyList<Parameter> parameters)
    {
        using ClassTexts theirs = new(Texts(clip), clip.Text),
            ours = new(Texts(clip), clip.Text, onOneThread: true);
        var tower = new TextTower(clip.Text);
        using Generator generator = Seeds.Generator(8, "weights");
        Tensor weights = randn([9, clip.Config.EmbeddingWidth], generator: generator);
        (Tensor Features, Tensor?[] Gradients) Pass(ClassTexts texts)
        {
            using var backward = new BackwardTensors();
            foreach (Parameter parameter in parameters)
                parameter.grad = null;
            Tensor features = tower.Forward(texts, branch.Layers(), backward);
            (features * weights).sum().backward();
            backward.ThrowFailure();
            return (features.detach(), [.. parameters.Select(p => p.grad?.clone())]);
        }
        var (expected, expectedGradients) = Pass(theirs);
        var (actual, gradients) = Pass(ours);
        var (again, gradientsAgain) = Pass(ours);
        Close.Relative(expected, actual, 1e-4, "features");
        Assert.True(actual.equal(again).all().item<bool>(), "features have other bits the second time");
        Assert.Contains(expectedGradients, gradient => gradient is not null);
        for (int i = 0; i < gradients.Length; i++)
        {
            Assert.Equal(expectedGradients[i] is null, gradients[i] is null);
            if (gradients[i] is null)
                continue;
            Close.Relative(expectedGradients[i]!, gradients[i], 1e-4, $"gradient {i}");
            Assert.True(gradients[i]!.equal(gradientsAgain[i]!).all().item<bool>(), $"gradient {i} has other bits the second time");
        }
    }

    /// <summary>Nine texts: one is a prefix of another, one occurs twice, several share a prefix, and one shares nothing.</summary>
    private static int[][] Texts(RandomClip clip)
    {
        int[][] endings =
        [
            [7, 3, 9],
            [7, 3],
            [7, 5, 9],
            [7],
            [7, 3, 9, 2],
            [7, 3, 9],
            [8, 3, 9],
            [7, 5, 1],
            [4],
        ];
        int[] beginning = clip.RandomTexts(1, 3, 1, seed: 8)[0][..3];
        return [.. endings.Select(ending => (int[])[.. beginning, .. ending, 49])];
    }
}
