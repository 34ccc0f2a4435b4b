using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Network;

/// <summary>Compares coupled prompts with independent prompts of the same values, whose gradients are combined by hand.</summary>
public sealed class CouplingTests : IDisposable
{
    private const int Classes = 5;

    private readonly IDisposable _scope = NewDisposeScope();
    private readonly RandomClip _clip = new(RandomClip.Shape(), seed: 21);
    private readonly Generator _generator;
    private readonly int[][] _texts;
    private readonly Tensor _images,
        _labels;
    private readonly PromptShape _shape;

    public CouplingTests()
    {
        LibTorch.EnsureLoaded();
        _generator = Seeds.Generator(5, "coupling tests");
        _texts = _clip.RandomTexts(Classes, 3, 4, seed: 2);
        int size = _clip.Config.ImageSize;
        _images = randn([4, 3, size, size], generator: _generator);
        _labels = tensor(new long[] { 0, 3, 1, 4 });
        _shape = new PromptShape(_clip.Config, CPU, Seed: 1);
    }

    public void Dispose()
    {
        _generator.Dispose();
        _clip.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public void Gradients_go_through_the_maps(int workers)
    {
        int[] text = [2, 0],
            image = [2, 0, 3];
        var design = new CoupledPrompts();
        BranchPair<IFixedBranch> coupled = design.CreatePrompts(
            new PromptConfiguration(text, image),
            _shape,
            PromptDistribution.Normal(1),
            "test"
        );
        Tensor?[] rows = [.. coupled.Image.ConstantRows()];
        Assert.Equal(image, coupled.Image.Lengths);
        using var independentImage = new FixedBranch(rows, CPU);
        var independent = new BranchPair<IPromptedBranch>(coupled.Text, independentImage);
        Dictionary<IntPtr, Tensor> expected = Gradients(independent, workers),
            actual = Gradients(coupled.Select<IPromptedBranch>(branch => branch), workers);

        var source = (FixedBranch)coupled.Text;
        Parameter weight = coupled.Image.Parameters[0],
            bias = coupled.Image.Parameters[1];
        Tensor byRows = expected[independentImage.Rows[0]!.Handle],
            textRows = source.Rows[0]!;
        Close.Relative(byRows.t().matmul(textRows).detach(), actual[weight.Handle], 1e-4, "weight");
        Close.Relative(byRows.sum([0]), actual[bias.Handle], 1e-4, "bias");
        Close.Relative(expected[textRows.Handle] + byRows.matmul(weight).detach(), actual[textRows.Handle], 1e-4, "text rows");
        // The third image layer has no partner in the text tower.
        Close.Relative(expected[independentImage.Rows[2]!.Handle], actual[coupled.Image.Parameters[2].Handle], 1e-4, "own rows");
        coupled.Image.Dispose();
        coupled.Text.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_coupled_supernet_mixes_with_one_choice(bool nested)
    {
        int[] candidates = [0, 1, 3];
        var initial = PromptDistribution.Normal(1);
        using var supernet = new Supernet(new CoupledPrompts().CreateSupernet(candidates, _shape, new(initial, initial), nested, "test"));
        SupernetBranch text = supernet.Branches.Text,
            image = supernet.Branches.Image;
        Assert.Equal([2L, 3], text.AllAlphas().shape);
        Assert.Equal([3L, 3], image.AllAlphas().shape);
        Close.Relative(text.Alphas, image.AllAlphas().narrow(0, 0, 2), 0, "shared alphas");
        supernet.RequireGradients(ofAlphas: true, ofPrompts: true);

        // The same mixture built from independent rows, with one matrix for each candidate.
        using var same = new SupernetBranch(
            candidates,
            image.AllAlphas(),
            [.. image.Layers(parameter => parameter).Select(layer => layer!.Rows.detach())]
        );
        same.RequireGradients(ofAlphas: true, ofPrompts: true);
        using var ordinary = new SupernetBranch(candidates, text.Alphas, text.Rows, nested);
        ordinary.RequireGradients(ofAlphas: true, ofPrompts: true);
        Dictionary<IntPtr, Tensor> expected = Gradients(new BranchPair<IPromptedBranch>(ordinary, same), workers: 0),
            actual = Gradients(supernet.Passes, workers: 0),
            shared = Gradients(supernet.Passes, workers: 2);
        Tensor alphas = expected[ordinary.Alphas.Handle] + expected[same.Alphas.Handle].narrow(0, 0, 2);
        Close.Relative(alphas, actual[text.Alphas.Handle], 1e-4, "alphas");
        Close.Relative(alphas, shared[text.Alphas.Handle], 1e-4, "alphas by workers");
        Close.Relative(expected[same.Alphas.Handle].narrow(0, 2, 1), actual[image.Alphas.Handle], 1e-4, "own alphas");

        supernet.DrawPath(new Random(1));
        using FixedBranch chosen = image.Choose([3, 0, 1]),
            chosenText = text.Choose([3, 0]);
        Tensor projected = image.Layers(parameter => parameter)[0]!.Rows.narrow(0, 1, 3);
        Close.Relative(projected.detach(), chosen.Rows[0]!, 1e-6, "chosen rows");
        Assert.Equal([3, 0, 1], chosen.Lengths);
    }

    [Fact]
    public void Maps_behind_the_first_layer_begin_alike()
    {
        using Coupling coupling = Coupling.Create([true, true, false, true], 8, 6, _generator, CPU);
        IReadOnlyList<Parameter> maps = coupling.Parameters;
        Assert.Equal(6, maps.Count);
        Close.Relative(maps[2], maps[4], 0, "weights");
        Assert.True((maps[0] - maps[2]).abs().max().item<float>() > 0.1);
        Assert.All(maps, map => Assert.InRange(map.abs().max().item<float>(), 0, (float)(1 / Math.Sqrt(8))));
    }

    /// <summary>The gradients by parameter handle, in the test's dispose scope.</summary>
    private Dictionary<IntPtr, Tensor> Gradients(BranchPair<IPromptedBranch> prompts, int workers)
    {
        using var tower = new ImageTower(_clip.Image);
        using var texts = new ClassTexts(_texts, _clip.Text);
        using ClipParts? parts = workers == 0 ? null : new ClipParts(_clip.Text, _clip.Image, _texts, workers, threadsEach: 1);
        var model = new PromptedClip(new TextTower(_clip.Text), tower, texts, parts);
        Parameter[] parameters = [.. prompts.ImageFirst.SelectMany(branch => branch.Parameters).Where(p => p.numel() > 0)];
        foreach (Parameter parameter in parameters)
        {
            parameter.requires_grad_(true);
            parameter.grad = null;
        }
        using var backward = new BackwardTensors();
        Losses.CrossEntropy(model.Logits(_images, prompts, backward), _labels).backward();
        backward.ThrowFailure();
        return parameters.Where(p => p.grad is not null).ToDictionary(p => p.Handle, p => p.grad!.clone());
    }
}
