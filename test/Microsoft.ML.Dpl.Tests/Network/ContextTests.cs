using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Network;

/// <summary>A context along with deep prompts: packed texts with shared prefixes, computed by all workers and kernels, checked against
/// encoding each class's text separately.</summary>
public sealed class ContextTests : IDisposable
{
    private const int Length = 3;

    private readonly IDisposable _scope = NewDisposeScope();
    private readonly RandomClip _clip = new(RandomClip.Shape(), seed: 31);
    private readonly Generator _generator = Seeds.Generator(6, "context tests");
    private readonly int[][] _texts;
    private readonly List<IDisposable> _kept = [];

    public ContextTests() => _texts = _clip.RandomTexts(5, 1, 4, seed: 3);

    public void Dispose()
    {
        foreach (IDisposable kept in _kept)
            kept.Dispose();
        _generator.Dispose();
        _clip.Dispose();
        _scope.Dispose();
    }

    public static TheoryData<ContextPosition, bool, int[]> Cases
    {
        get
        {
            var cases = new TheoryData<ContextPosition, bool, int[]>();
            foreach (ContextPosition position in Enum.GetValues<ContextPosition>())
            foreach (bool isSpecific in (bool[])[false, true])
            foreach (
                int[] lengths in (int[][])
                    [
                        [0, 0],
                        [0, 2],
                        [2, 1],
                    ]
            )
                cases.Add(position, isSpecific, lengths);
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Texts_that_share_are_computed_as_if_they_did_not(ContextPosition position, bool isSpecific, int[] lengths)
    {
        var layout = new ContextLayout(Length, position, isSpecific);
        int[][] arranged = [.. _texts.Select((text, k) => layout.Arrange(text, Math.Min(2, text.Length - 2), k))];
        using var context = new InputContext(
            layout,
            randn(layout.VectorCount(_texts.Length), _clip.Config.Text.Width, generator: _generator),
            CPU
        );
        using var deep = FixedBranch.Create(lengths, _clip.Config.Text.Width, PromptDistribution.Normal(1), _generator, CPU);
        var branch = new ContextBranch(deep, context);
        Parameter[] parameters = [.. branch.Parameters];
        // Random weights for all features, so that no gradient cancels out.
        Tensor factors = randn(_texts.Length, _clip.Config.EmbeddingWidth, generator: _generator);

        // Encoded separately, a class shares no rows with others: [start, context …] of one text.
        using var alone = new BackwardTensors();
        Tensor[] features =
        [
            .. arranged.Select(text =>
                new TextTower(_clip.Text).Forward(
                    Kept(new ClassTexts([text], _clip.Text)),
                    Required(branch).Layers(),
                    alone,
                    branch.Context()
                )
            ),
        ];
        Tensor expected = cat(features, 0);
        Tensor[] expectedGradients = Gradients(expected, factors, parameters, alone);

        foreach (bool onOneThread in (bool[])[false, true])
        {
            using var texts = new ClassTexts(arranged, _clip.Text, onOneThread);
            using var backward = new BackwardTensors();
            Tensor actual = new TextTower(_clip.Text).Forward(texts, Required(branch).Layers(), backward, branch.Context());
            Close.Relative(expected.detach(), actual.detach(), 1e-4, "features");
            Tensor[] gradients = Gradients(actual, factors, parameters, backward);
            for (int i = 0; i < parameters.Length; i++)
                Close.Relative(expectedGradients[i], gradients[i], 1e-3, $"gradient {i}, one thread: {onOneThread}");
        }
    }

    [Fact]
    public void A_context_and_its_texts_go_together()
    {
        using var plain = new ClassTexts(_texts, _clip.Text);
        using var context = new InputContext(new ContextLayout(1, ContextPosition.End, false), randn(1, _clip.Config.Text.Width), CPU);
        var branch = new ContextBranch(new PlainBranch(_clip.Config.Text.Layers), context);
        Assert.Throws<ArgumentException>(() => new TextTower(_clip.Text).UnitFeatures(plain, branch));
        int[][] arranged = [.. _texts.Select((text, k) => context.Layout.Arrange(text, 1, k))];
        using var texts = new ClassTexts(arranged, _clip.Text);
        Assert.Throws<ArgumentException>(() => new TextTower(_clip.Text).UnitFeatures(texts, new PlainBranch(_clip.Config.Text.Layers)));
    }

    private static ContextBranch Required(ContextBranch branch)
    {
        foreach (Tensor parameter in branch.Parameters)
            parameter.requires_grad_(true);
        return branch;
    }

    private static Tensor[] Gradients(Tensor features, Tensor factors, Parameter[] parameters, BackwardTensors backward)
    {
        foreach (Parameter parameter in parameters)
            parameter.grad = null;
        (PromptedClip.UnitRows(features) * factors).sum().backward();
        backward.ThrowFailure();
        return [.. parameters.Select(parameter => parameter.grad!.clone())];
    }

    private ClassTexts Kept(ClassTexts texts)
    {
        _kept.Add(texts);
        return texts;
    }
}
