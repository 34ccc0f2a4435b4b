using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Network;

/// <summary>Compares prediction by oneDNN's linear layers with the same tower run by libtorch's ordinary ones.</summary>
public sealed class PackedTowerTests
{
    private const string Absent = "these operators are used on x64 Linux alone";

    public static TheoryData<ClipActivation, int, int> Cases =>
        new()
        {
            { ClipActivation.QuickGelu, 0, 1 },
            { ClipActivation.QuickGelu, 3, 1 },
            { ClipActivation.QuickGelu, 3, 33 },
            { ClipActivation.Gelu, 0, 2 },
            { ClipActivation.Gelu, 5, 7 },
        };

    [SkippableTheory]
    [MemberData(nameof(Cases))]
    public void Features_are_those_of_the_tower_itself(ClipActivation activation, int length, int batch)
    {
        Skip.IfNot(FusedOperators.IsAvailable, Absent);
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(imageWidth: 96, imageHeads: 3, activation: activation), seed: 8);
        using Generator generator = Seeds.Generator(7, "packed");
        // The second layer never has a prompt.
        Tensor?[] prompts = [Prompt(), null, Prompt()];
        using FoldedImageTower plain = new(clip.Image, prompts),
            packed = new(clip.Image, prompts);
        using PackedTower matrices = PackedTower.From(clip.Image);
        packed.Packed = () => matrices;
        Tensor images = randn([batch, 3, 20, 20], generator: generator);
        Close.Relative(plain.Forward(images), packed.Forward(images), 1e-5, "features");
        Assert.NotEqual(0, (plain.Forward(images) - packed.Forward(images)).abs().max().item<float>());

        Tensor? Prompt() => length == 0 ? null : randn([length, 96], generator: generator);
    }

    [SkippableFact]
    public void A_mixture_keeps_its_own_attention()
    {
        Skip.IfNot(FusedOperators.IsAvailable, Absent);
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(imageWidth: 96, imageHeads: 3), seed: 8);
        using Generator generator = Seeds.Generator(7, "packed mixture");
        using MixtureBranch image = RandomMixture.Branch([0, 2, 5], clip.Config.Image, generator);
        using FoldedImageTower plain = new(clip.Image, image.Layers()),
            packed = new(clip.Image, image.Layers());
        using PackedTower matrices = PackedTower.From(clip.Image);
        packed.Packed = () => matrices;
        Tensor images = randn([3, 3, 20, 20], generator: generator);
        Close.Relative(plain.Forward(images), packed.Forward(images), 1e-5, "features");
        (Tensor features, _) = packed.ForwardWithAttention(images);
        Close.Relative(plain.ForwardWithAttention(images).Features.detach(), features.detach(), 0, "with attention");
    }

    [SkippableFact]
    public void Threads_that_predict_at_once_get_the_bits_of_one_alone()
    {
        Skip.IfNot(FusedOperators.IsAvailable, Absent);
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(imageWidth: 96, imageHeads: 3), seed: 8);
        using Generator generator = Seeds.Generator(7, "packed threads");
        using PackedTower matrices = PackedTower.From(clip.Image);
        using var tower = new FoldedImageTower(clip.Image, new Tensor?[3]) { Packed = () => matrices };
        Tensor images = randn([4, 3, 20, 20], generator: generator);
        float[] alone = tower.Forward(images).data<float>().ToArray();
        var results = new float[64][];
        Parallel.For(0, results.Length, new ParallelOptions { MaxDegreeOfParallelism = 4 }, i =>
        {
            using var own = NewDisposeScope();
            results[i] = tower.Forward(images).data<float>().ToArray();
        });
        Assert.All(results, result => Assert.Equal(alone, result));
    }

    [Fact]
    public void Wide_towers_on_the_CPU_are_packed_and_narrow_ones_are_not()
    {
        using var scope = NewDisposeScope();
        using RandomClip narrow = new(RandomClip.Shape(), seed: 1),
            wide = new(RandomClip.Shape(imageWidth: 512, imageHeads: 8, imageLayers: 1), seed: 1);
        Assert.False(PackedTower.IsWorthwhileFor(narrow.Image));
        Assert.Equal(FusedOperators.IsAvailable, PackedTower.IsWorthwhileFor(wide.Image));
    }
}
