using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Search;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Dpl.Tests.Prompts;

/// <summary>The prompted towers against the reference implementation: outputs, and gradients of every prompt and alpha.</summary>
[Trait("Category", "Golden")]
public class GoldenNetworkTests
{
    [Theory]
    [MemberData(nameof(GoldenCase.Names), MemberType = typeof(GoldenCase))]
    public void Supernet_equals_the_reference(string caseName)
    {
        using var golden = new GoldenCase(caseName);
        using var scope = NewDisposeScope();
        using var supernet = new Supernet(golden.Branch("supernet", "", "image"), golden.Branch("supernet", "", "text"));
        supernet.RequireGradients(ofAlphas: true, ofPrompts: true);
        CheckForwardAndBackward(golden, "supernet", supernet.Image, supernet.Text);

        int candidates = supernet.Image.Candidates.Count;
        foreach (var (name, branch) in new[] { ("image", supernet.Image), ("text", supernet.Text) })
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
        using FixedBranch image = golden.Fixed("subnet", "image"),
            text = golden.Fixed("subnet", "text");
        image.RequireGradients(true);
        text.RequireGradients(true);
        CheckForwardAndBackward(golden, "subnet", image, text);
        foreach (var (name, branch) in new[] { ("image", image), ("text", text) })
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
        using var tower = new FoldedImageTower(golden.Vision, image.Rows);
        Close.Relative(golden["subnet", "output.image_features"], tower.Forward(golden["subnet", "input.images"]), 1e-4, "image features");
    }

    private static void CheckForwardAndBackward(GoldenCase golden, string file, IPromptedBranch image, IPromptedBranch text)
    {
        using var backward = new BackwardTensors();
        using var imageTower = new ImageTower(golden.Vision);
        var textTower = new TextTower(golden.Text);
        using ClassTexts texts = golden.Texts(file);
        Tensor images = golden[file, "input.images"];
        Close.Relative(
            golden[file, "output.image_features"],
            imageTower.Forward(images, image.Layers(), backward).detach(),
            1e-4,
            "image features"
        );
        Close.Relative(
            golden[file, "output.text_features"],
            textTower.Forward(texts, text.Layers(), backward).detach(),
            1e-4,
            "text features"
        );

        Tensor logits = new PromptedClip(imageTower, textTower, texts).Logits(images, image, text, backward);
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
