using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Dpl.Tests.Network;

/// <summary>Compares the fast form with the naive one on CLIPs of many shapes: logits, and gradients of every prompt and alpha.</summary>
public class NaiveEquivalenceTests
{
    public static TheoryData<string, int[], int, int, int, int> Cases() =>
        new()
        {
            // name, candidates, classes, shared prefix length, longest ending, batch
            { "base", new[] { 0, 2, 4, 6 }, 7, 5, 6, 3 },
            { "dense", new[] { 0, 1, 2, 3, 4, 5, 6 }, 3, 5, 3, 2 },
            { "single", new[] { 0, 3 }, 2, 1, 9, 1 },
            { "long-beginning", new[] { 0, 1, 8 }, 5, 15, 1, 4 },
            { "one-class", new[] { 0, 2 }, 1, 4, 3, 2 },
            { "no-shared-start", new[] { 0, 2, 5 }, 4, 0, 5, 2 },
            { "gelu", new[] { 0, 2, 5 }, 6, 3, 5, 2 },
            { "one-layer", new[] { 0, 2, 5 }, 6, 3, 5, 2 },
            { "uneven-patches", new[] { 0, 4 }, 6, 3, 5, 2 },
            { "alike-endings", new[] { 0, 2, 5 }, 9, 3, 5, 2 },
            { "alike-endings-no-shared-start", new[] { 0, 2, 5 }, 6, 0, 5, 2 },
        };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Supernet_equals_the_naive_form(string name, int[] candidates, int classes, int shared, int longest, int batch)
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(ShapeOf(name), seed: 5);
        using Generator generator = Seeds.Generator(6, name);
        ClipConfig config = clip.Config;
        using var supernet = Supernet(candidates, config, generator);
        int[][] texts = Texts(clip, name, classes, shared, longest);
        Tensor images = randn([batch, 3, config.ImageSize, config.ImageSize], generator: generator),
            labels = tensor(Enumerable.Range(0, batch).Select(i => (long)(i % classes)).ToArray());
        supernet.RequireGradients(ofAlphas: true, ofPrompts: true);

        using var naive = new NaiveClip(clip, config);
        Tensor expected = naive.Logits(images, texts, NaiveLayer.From(supernet.Branches.Image), NaiveLayer.From(supernet.Branches.Text));
        Tensor[] expectedGradients = Gradients(expected, labels, supernet);

        using var tower = new ImageTower(clip.Image);
        using var classTexts = new ClassTexts(texts, clip.Text);
        // No workers, evenly shared work, and more workers than images or classes.
        foreach (int workers in new[] { 0, 2, batch + 1 })
        {
            using ClipParts? parts = workers == 0 ? null : new ClipParts(clip.Text, clip.Image, texts, workers, threadsEach: 1);
            using var backward = new BackwardTensors();
            Tensor actual = new PromptedClip(new TextTower(clip.Text), tower, classTexts, parts).Logits(
                images,
                supernet.Branches,
                backward
            );
            Close.Relative(expected.detach(), actual.detach(), 1e-4, $"logits, {workers} workers");
            Tensor[] actualGradients = Gradients(actual, labels, supernet);
            // With one class the loss is constant and all gradients are rounding noise.
            if (classes == 1)
                continue;
            for (int i = 0; i < expectedGradients.Length; i++)
                Close.Relative(expectedGradients[i], actualGradients[i], 1e-4, $"gradient {i}, {workers} workers");
        }
    }

    /// <summary>Layers without prompts, and steps that change one branch or only the alphas.</summary>
    [Fact]
    public void Workers_give_gradients_of_what_is_stepped_and_the_same_bits_every_time()
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 9);
        using Generator generator = Seeds.Generator(9, "workers");
        using var fixedImage = FixedBranch.Create([2, 0, 5], clip.Config.Image.Width, PromptDistribution.Normal(1), generator, CPU);
        using var fixedText = FixedBranch.Create([0, 3], clip.Config.Text.Width, PromptDistribution.Normal(1), generator, CPU);
        using var supernet = Supernet([0, 2, 5], clip.Config, generator);
        int[][] texts = clip.RandomTexts(6, 4, 5, seed: 1);
        Tensor images = randn([3, 3, 20, 20], generator: generator),
            labels = tensor(new long[] { 0, 3, 5 });
        using var tower = new ImageTower(clip.Image);
        using var classTexts = new ClassTexts(texts, clip.Text);
        using var parts = new ClipParts(clip.Text, clip.Image, texts, workers: 2, threadsEach: 1);
        PromptedClip alone = new(new TextTower(clip.Text), tower, classTexts),
            shared = new(new TextTower(clip.Text), tower, classTexts, parts);
        Tensor?[] Step(PromptedClip model, BranchPair<IPromptedBranch> prompts)
        {
            using var backward = new BackwardTensors();
            Parameter[] parameters = [.. prompts.Text.Parameters, .. prompts.Image.Parameters];
            foreach (Parameter parameter in parameters)
                parameter.grad = null;
            F.cross_entropy(model.Logits(images, prompts, backward), labels).backward();
            return [.. parameters.Select(p => p.grad?.clone())];
        }
        void Check(IPromptedBranch text, IPromptedBranch image)
        {
            var prompts = new BranchPair<IPromptedBranch>(text, image);
            Tensor?[] expected = Step(alone, prompts),
                actual = Step(shared, prompts),
                again = Step(shared, prompts);
            Assert.Contains(expected, g => g is not null);
            for (int i = 0; i < expected.Length; i++)
            {
                Assert.Equal(expected[i] is null, actual[i] is null);
                if (expected[i] is null)
                    continue;
                Close.Relative(expected[i]!, actual[i]!, 1e-4, $"gradient {i}");
                Assert.True(actual[i]!.equal(again[i]!).all().item<bool>(), $"gradient {i} has other bits the second time");
            }
        }
        using (
            Tensor expected = alone.ClassFeatures(fixedText),
                actual = shared.ClassFeatures(fixedText)
        )
            Close.Relative(expected, actual, 1e-4, "class features");
        using (var folded = new FoldedImageTower(clip.Image, fixedImage.Rows))
            Close.Relative(alone.ImageFeatures(folded, images), shared.ImageFeatures(folded, images), 1e-4, "image features");
        fixedImage.RequireGradients(true);
        Check(fixedText, fixedImage);
        fixedText.RequireGradients(true);
        Check(fixedText, fixedImage);
        supernet.RequireGradients(ofAlphas: true, ofPrompts: false);
        Check(supernet.Branches.Text, supernet.Branches.Image);
        supernet.RequireGradients(ofAlphas: false, ofPrompts: true);
        Check(supernet.Branches.Text, supernet.Branches.Image);
        Check(supernet.Branches.Text, new PlainBranch(3));
    }

    [Fact]
    public void A_beginning_that_texts_share_is_one_row()
    {
        using var clip = new RandomClip(RandomClip.Shape(), seed: 9);
        int Rows(params int[][] texts)
        {
            using var classTexts = new ClassTexts(texts, clip.Text);
            return classTexts.RowCount;
        }
        Assert.Equal(4 + 2 + 2, Rows([48, 1, 2, 3, 4, 49], [48, 1, 2, 3, 5, 49]));
        // The rows: 48 1 2 | 3 | 4 49, 5 49, 49 and 6 49
        Assert.Equal(3 + 1 + 2 + 2 + 1 + 2, Rows([48, 1, 2, 3, 4, 49], [48, 1, 2, 3, 5, 49], [48, 1, 2, 3, 49], [48, 1, 2, 6, 49]));
        // The same token after another prefix is another row.
        Assert.Equal(1 + 3 + 3, Rows([48, 1, 3, 49], [48, 2, 3, 49]));
    }

    /// <summary>Text layers below the first prompt are cached: after any change of prompts no stale value may be used.</summary>
    [Fact]
    public void Remembered_text_layers_give_the_same_bits_as_fresh_ones()
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 9);
        using Generator generator = Seeds.Generator(9, "remembered");
        int[][] texts = clip.RandomTexts(6, 4, 5, seed: 1);
        var tower = new TextTower(clip.Text);
        using var kept = new ClassTexts(texts, clip.Text);
        foreach (int[] lengths in new int[][] { [0, 3], [0, 3], [2, 0], [0, 0], [0, 3], [0, 0] })
        {
            using var prompts = FixedBranch.Create(lengths, clip.Config.Text.Width, PromptDistribution.Normal(1), generator, CPU);
            prompts.RequireGradients(true);
            using var fresh = new ClassTexts(texts, clip.Text);
            (Tensor Features, Tensor?[] Gradients) Pass(ClassTexts classes)
            {
                using var backward = new BackwardTensors();
                Tensor features = tower.Forward(classes, prompts.Layers(), backward);
                if (!features.requires_grad)
                    return (features, []);
                foreach (Parameter parameter in prompts.Parameters)
                    parameter.grad = null;
                features.square().sum().backward();
                return (features.detach(), [.. prompts.Parameters.Select(p => p.grad?.clone())]);
            }
            var (expected, expectedGradients) = Pass(fresh);
            var (actual, gradients) = Pass(kept);
            string which = string.Join(' ', lengths);
            Assert.True(expected.equal(actual).all().item<bool>(), which);
            Assert.Equal(lengths.Count(length => length > 0), gradients.Length);
            for (int i = 0; i < gradients.Length; i++)
                Assert.True(expectedGradients[i]!.equal(gradients[i]!).all().item<bool>(), $"gradient {i} of {which}");
        }
    }

    [Fact]
    public void Fixed_lengths_equal_the_naive_form_and_the_folded_tower()
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 9);
        using Generator generator = Seeds.Generator(9, "fixed");
        using var image = FixedBranch.Create([2, 0, 5], clip.Config.Image.Width, PromptDistribution.Normal(1), generator, CPU);
        using var text = FixedBranch.Create([0, 3], clip.Config.Text.Width, PromptDistribution.Normal(1), generator, CPU);
        int[][] texts = clip.RandomTexts(6, 4, 5, seed: 1);
        Tensor images = randn([3, 3, 20, 20], generator: generator);

        using var naive = new NaiveClip(clip, clip.Config);
        Tensor expected = naive.Logits(images, texts, NaiveLayer.From(image), NaiveLayer.From(text)).detach();
        using var tower = new ImageTower(clip.Image);
        using var classTexts = new ClassTexts(texts, clip.Text);
        using var backward = new BackwardTensors();
        var model = new PromptedClip(new TextTower(clip.Text), tower, classTexts);
        Close.Relative(expected, model.Logits(images, new BranchPair<FixedBranch>(text, image), backward), 1e-4, "logits");
        using var folded = new FoldedImageTower(clip.Image, image.Rows);
        Close.Relative(
            expected,
            PromptedClip.Logits(folded.Forward(images), model.ClassFeatures(text), clip.Text.LogitScale),
            1e-4,
            "folded logits"
        );
    }

    /// <summary>With scores far apart, nothing may under- or overflow into NaN, and the fast form must still agree.</summary>
    [Theory]
    [InlineData(30)]
    [InlineData(1e-3)]
    public void Extreme_alphas_stay_finite_and_equal(double alphaScale)
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 3);
        using Generator generator = Seeds.Generator(4, "extreme");
        Tensor alphas = randn(3, 3, generator: generator) * (50 * alphaScale);
        using var image = new SupernetBranch(
            [0, 2, 5],
            alphas,
            [.. Enumerable.Range(0, 3).Select(_ => randn(7, 24, generator: generator) * 100)]
        );
        image.RequireGradients(ofAlphas: true, ofPrompts: true);
        Tensor images = randn([2, 3, 20, 20], generator: generator);
        using var tower = new ImageTower(clip.Image);
        using var backward = new BackwardTensors();
        using var naive = new NaiveClip(clip, clip.Config);
        Tensor actual = tower.Forward(images, image.Layers(), backward);
        Close.Relative(naive.ImageFeatures(images, NaiveLayer.From(image)).detach(), actual.detach(), 1e-4, "features");
        actual.sum().backward();
        Assert.All(image.Rows.Append(image.Alphas), p => Assert.True(p.grad!.isfinite().all().item<bool>()));
    }

    [Fact]
    public void Only_what_is_stepped_gets_a_gradient()
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 3);
        using Generator generator = Seeds.Generator(4, "halves");
        using var branch = Branch([0, 2, 5], clip.Config.Image, generator);
        using var tower = new ImageTower(clip.Image);
        Tensor images = randn([2, 3, 20, 20], generator: generator);
        branch.RequireGradients(ofAlphas: true, ofPrompts: false);
        using (var backward = new BackwardTensors())
            tower.Forward(images, branch.Layers(), backward).sum().backward();
        Assert.NotNull(branch.Alphas.grad);
        Assert.All(branch.Rows, rows => Assert.Null(rows.grad));
    }

    /// <summary>The benchmarks compare with this form where the whole graph does not fit into memory.</summary>
    [Fact]
    public void The_naive_form_in_chunks_of_classes_has_the_gradients_of_the_whole()
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 5);
        using Generator generator = Seeds.Generator(6, "chunks");
        using var supernet = Supernet([0, 2, 5], clip.Config, generator);
        int[][] texts = clip.RandomTexts(7, 4, 5, seed: 8);
        Tensor images = randn([3, 3, 20, 20], generator: generator),
            labels = tensor(new long[] { 0, 3, 6 });
        supernet.RequireGradients(ofAlphas: true, ofPrompts: true);
        NaiveLayer[] image = NaiveLayer.From(supernet.Branches.Image),
            text = NaiveLayer.From(supernet.Branches.Text);
        using var naive = new NaiveClip(clip, clip.Config);
        Tensor[] expected = Gradients(naive.Logits(images, texts, image, text), labels, supernet);

        naive.BackwardInChunks(
            naive.TextFeaturesInChunks(texts, text, 3),
            features => F.cross_entropy(naive.Logits(naive.ImageFeatures(images, image), features), labels),
            texts,
            text,
            chunk: 3
        );

        Tensor[] actual = [.. supernet.Alphas.Concat(supernet.Prompts).Select(p => p.grad!)];
        for (int i = 0; i < expected.Length; i++)
            Close.Relative(expected[i], actual[i], 1e-5, $"gradient {i}");
    }

    private static ClipConfig ShapeOf(string name) =>
        name switch
        {
            "gelu" => RandomClip.Shape(activation: ClipActivation.Gelu),
            "one-layer" => RandomClip.Shape(imageLayers: 1, textLayers: 1, imageHeads: 1),
            "uneven-patches" => RandomClip.Shape(imageSize: 23, patch: 7),
            _ => RandomClip.Shape(),
        };

    private static int[][] Texts(RandomClip clip, string name, int classes, int shared, int longest)
    {
        int[][] texts = clip.RandomTexts(classes, shared, longest, seed: 8);
        if (name == "no-shared-start")
            for (int c = 0; c < classes; c++)
                texts[c][0] = 40 + c;
        if (!name.StartsWith("alike-endings", StringComparison.Ordinal))
            return texts;
        // Endings that are prefixes of others, two equal ones, and unrelated ones.
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
        int[] Beginning(int c) => shared > 0 ? texts[0][..shared] : [c < 3 ? 40 : 41];
        return [.. Enumerable.Range(0, classes).Select(c => (int[])[.. Beginning(c), .. endings[c], 49])];
    }

    internal static Supernet Supernet(int[] candidates, ClipConfig config, Generator generator) =>
        new(
            new BranchPair<SupernetBranch>(
                Text: Branch(candidates, config.Text, generator),
                Image: Branch(candidates, config.Image, generator)
            )
        );

    internal static SupernetBranch Branch(int[] candidates, ClipTransformerConfig branch, Generator generator) =>
        new(
            candidates,
            randn(branch.Layers, candidates.Length, generator: generator),
            [.. Enumerable.Range(0, branch.Layers).Select(_ => randn(candidates.Sum(), branch.Width, generator: generator))]
        );

    private static Tensor[] Gradients(Tensor logits, Tensor labels, Supernet supernet)
    {
        F.cross_entropy(logits, labels).backward();
        return
        [
            .. supernet
                .Alphas.Concat(supernet.Prompts)
                .Select(p =>
                {
                    Tensor gradient = p.grad!.clone();
                    p.grad!.zero_();
                    return gradient;
                }),
        ];
    }
}
