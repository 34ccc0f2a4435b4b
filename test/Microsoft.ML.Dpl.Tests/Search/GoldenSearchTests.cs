using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Tests.Network;
using Microsoft.ML.Dpl.Tests.Optimization;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Search;

/// <summary>Compares a whole bilevel search with the reference implementation.</summary>
[Trait("Category", "Golden")]
public class GoldenSearchTests
{
    [Theory]
    [MemberData(nameof(GoldenCase.Names), MemberType = typeof(GoldenCase))]
    public void Search_takes_the_steps_of_the_reference(string caseName)
    {
        using var golden = new GoldenCase(caseName);
        using var scope = NewDisposeScope();
        using var imageTower = new ImageTower(golden.Image);
        using ClassTexts texts = golden.Texts("search");
        using var supernet = golden.Supernet("search", "init.");
        var settings = new SearchSettings
        {
            Epochs = golden.Number("search", "epochs"),
            Candidates = golden.Numbers("search", "candidates"),
        };
        var steps = new StepRecorder();
        var state = new SearchState();

        new BilevelSearch(new PromptedClip(new TextTower(golden.Text), imageTower, texts), settings, steps).Run(
            supernet,
            new RecordedBatches(golden, "train"),
            new RecordedBatches(golden, "validation"),
            state
        );

        Close.Relative(
            golden["search", "output.learning_rates"],
            tensor(state.Epochs.Select(e => (float)e.LearningRate).ToArray()),
            1e-6,
            "learning rates"
        );
        Close.Relative(
            golden["search", "output.validation_losses"],
            tensor(steps.Reports.Select(r => (float)r.ValidationLoss!.Value).ToArray()),
            1e-3,
            "validation losses"
        );
        Close.Relative(
            golden["search", "output.train_losses"],
            tensor(steps.Reports.Select(r => (float)r.TrainLoss).ToArray()),
            1e-3,
            "train losses"
        );
        float[] alphas = [.. state.Epochs.SelectMany(e => e.ImageAlphas.Concat(e.TextAlphas)).SelectMany(layer => layer)];
        Close.Relative(
            golden["search", "output.alphas_by_epoch"],
            tensor(alphas, [state.Epochs.Count, alphas.Length / state.Epochs.Count]),
            1e-3,
            "alphas by epoch"
        );
        foreach (var (name, branch) in new[] { ("text", supernet.Branches.Text), ("image", supernet.Branches.Image) })
        {
            Close.Relative(golden["search", $"final.alphas.{name}"], branch.Alphas.detach(), 1e-3, $"final {name} alphas");
            for (int layer = 0; layer < branch.Rows.Count; layer++)
                Close.Relative(
                    golden.Packed("search", "final.", name, layer, settings.Candidates.Count),
                    branch.Rows[layer].detach(),
                    1e-3,
                    $"final {name} prompts {layer}"
                );
        }
    }

    private sealed class RecordedBatches(GoldenCase golden, string name) : IBatchSource
    {
        private readonly Tensor _images = golden["search", $"input.{name}_images"],
            _labels = golden["search", $"input.{name}_labels"];

        public int BatchesPerEpoch => (int)_labels.shape[0];

        public ImageBatch Read(int epoch, int index) => new(_images[index].clone(), _labels[index].clone());
    }
}
