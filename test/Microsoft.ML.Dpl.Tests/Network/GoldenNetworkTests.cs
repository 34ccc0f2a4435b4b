using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Network;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Dpl.Tests.Network;

/// <summary>Compares the prompted towers with the reference implementation: outputs, and gradients of every prompt and alpha.</summary>
[Trait("Category", "Golden")]
public class GoldenNetworkTests
{
    [Theory]
    [MemberData(nameof(GoldenCase.Names), MemberType = typeof(GoldenCase))]
    public void Supernet_equals_the_reference(string caseName)
    {
        using var golden = new GoldenCase(caseName);
        using var scope = NewDisposeScope();
        using var supernet = golden.Supernet("supernet", "");
        supernet.RequireGradients(ofAlphas: true, ofPrompts: true);
        CheckForwardAndBackward(golden, "supernet", supernet.Branches);

        int candidates = supernet.Branches.Image.Candidates.Count;
        foreach (var (name, branch) in new[] { ("text", supernet.Branches.Text), ("image", supernet.Branches.Image) })
        {
            Close.Relative(golden["supernet", $"grad.alphas.{name}"], branch.Alphas.grad, 1e-3, $"gradient of {name} alphas");
            for (int layer = 0; layer < branch.Rows.Count; layer++)
                CheckCandidateGradients(golden, name, layer, candidates, branch.Rows[layer]);
        }
    }

    [Theory]
    [MemberData(nameof(GoldenCase.Names), MemberType = typeof(GoldenCase))]
    public void Subnet_equals_the_reference(string caseName)
    {
        using var golden = new GoldenCase(caseName);
        using var scope = NewDisposeScope();
        using FixedBranch text = golden.Fixed("subnet", "text"),
            image = golden.Fixed("subnet", "image");
        text.RequireGradients(true);
        image.RequireGradients(true);
        CheckForwardAndBackward(golden, "subnet", new BranchPair<FixedBranch>(text, image));
        foreach (var (name, branch) in new[] { ("text", text), ("image", image) })
            for (int layer = 0; layer < branch.Rows.Count; layer++)
                if (branch.Rows[layer] is Parameter rows)
                    Close.Relative(golden["subnet", $"grad.prompts.{name}.{layer}"], rows.grad, 1e-3, $"gradient of {name} prompt {layer}");
    }

    [Theory]
    [MemberData(nameof(GoldenCase.Names), MemberType = typeof(GoldenCase))]
    public void Folded_tower_equals_the_reference(string caseName)
    {
        using var golden = new GoldenCase(caseName);
        using var scope = NewDisposeScope();
        using FixedBranch image = golden.Fixed("subnet", "image");
        using var tower = new FoldedImageTower(golden.Image, image.Rows);
        Close.Relative(golden["subnet", "output.image_features"], tower.Forward(golden["subnet", "input.images"]), 1e-4, "image features");
    }

    private static void CheckForwardAndBackward<TBranch>(GoldenCase golden, string file, BranchPair<TBranch> prompts)
        where TBranch : IPromptedBranch
    {
        using var backward = new BackwardTensors();
        using var imageTower = new ImageTower(golden.Image);
        var textTower = new TextTower(golden.Text);
        using ClassTexts texts = golden.Texts(file);
        Tensor images = golden[file, "input.images"];
        Close.Relative(
            golden[file, "output.image_features"],
            imageTower.Forward(images, prompts.Image.Layers(), backward).detach(),
            1e-4,
            "image features"
        );
        Close.Relative(
            golden[file, "output.text_features"],
            textTower.Forward(texts, prompts.Text.Layers(), backward).detach(),
            1e-4,
            "text features"
        );

        Tensor logits = new PromptedClip(textTower, imageTower, texts).Logits(images, prompts, backward);
        Close.Relative(golden[file, "output.logits"], logits.detach(), 1e-4, "logits");
        Tensor loss = F.cross_entropy(logits, golden[file, "input.labels"]);
        Close.Relative(golden[file, "output.loss"], loss.detach().view(1), 1e-4, "loss");
        loss.backward();
    }

    private static void CheckCandidateGradients(GoldenCase golden, string branch, int layer, int candidates, Parameter rows)
    {
        long start = 0;
        for (int k = 1; k < candidates; k++)
        {
            Tensor expected = golden["supernet", $"grad.prompts.{branch}.{layer}.{k}"];
            Close.Relative(expected, rows.grad?.narrow(0, start, expected.shape[0]), 1e-3, $"gradient of {branch} prompt {layer}.{k}");
            start += expected.shape[0];
        }
    }
}
