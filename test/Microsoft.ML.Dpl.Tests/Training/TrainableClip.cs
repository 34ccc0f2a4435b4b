using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Tests.Network;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Training;

/// <summary>A small random CLIP with five classes, batches for it, and trainable prompts. The images belong to the dispose scope in which
/// it was created.</summary>
internal sealed class TrainableClip : IDisposable
{
    private static readonly int[] Candidates = [0, 1, 2];

    private readonly RandomClip _clip = new(RandomClip.Shape(), seed: 21);
    private readonly Generator _generator = Seeds.Generator(22, "trainable");
    private readonly ImageTower _tower;
    private readonly ClassTexts _texts;

    public TrainableClip()
    {
        (_tower, _texts) = (new ImageTower(_clip.Image), new ClassTexts(_clip.RandomTexts(5, 3, 4, seed: 2), _clip.Text));
        Clip = new PromptedClip(new TextTower(_clip.Text), _tower, _texts);
        (Train, Validation) = (new RandomBatches(_generator), new RandomBatches(_generator));
    }

    public PromptedClip Clip { get; }

    public RandomBatches Train { get; }

    public RandomBatches Validation { get; }

    /// <summary>Fresh prompts of fixed lengths. The caller owns them.</summary>
    public BranchPair<FixedBranch> Branches() =>
        new(
            Text: FixedBranch.Create([0, 2], _clip.Config.Text.Width, PromptDistribution.Normal(1), _generator, CPU),
            Image: FixedBranch.Create([2, 0, 3], _clip.Config.Image.Width, PromptDistribution.Normal(1), _generator, CPU)
        );

    /// <summary>A fresh supernet. The caller owns it.</summary>
    public Supernet Supernet() => new(new BranchPair<SupernetBranch>(Text: Branch(_clip.Config.Text), Image: Branch(_clip.Config.Image)));

    private SupernetBranch Branch(ClipTransformerConfig shape) =>
        SupernetBranch.Create(Candidates, shape.Layers, shape.Width, PromptDistribution.Normal(1), _generator, CPU);

    public void Dispose()
    {
        _texts.Dispose();
        _tower.Dispose();
        _generator.Dispose();
        _clip.Dispose();
    }
}
