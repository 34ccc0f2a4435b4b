using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Fuzzing;

// The readers of a model zip's prompts.
internal sealed partial class ClipTargets
{
    private FuzzTarget Prompts()
    {
        using var scope = NewDisposeScope();
        return Prompts("prompts", new PromptRows([null, ones(1, _clip.Config.Text.Width)], [zeros(2, _clip.Config.Image.Width), null]));
    }

    private FuzzTarget Mixture()
    {
        using var scope = NewDisposeScope();
        var mixture = new TrainedMixture(
            [0, 1, 2],
            [
                [0.25f, 0.25f, 0.5f],
            ],
            [
                [1, 0, 0],
            ]
        );
        return Prompts("mixture", new PromptRows([ones(3, _clip.Config.Text.Width)], [zeros(3, _clip.Config.Image.Width)], mixture));
    }

    private FuzzTarget Context()
    {
        using var scope = NewDisposeScope();
        var context = new ContextRows(new ContextLayout(2, ContextPosition.Middle, ClassSpecific: true), ones(6, _clip.Config.Text.Width));
        return Prompts("context", new PromptRows([null, ones(1, _clip.Config.Text.Width)], [null, null], Context: context));
    }

    private FuzzTarget Prompts(string name, PromptRows rows)
    {
        ClipConfig config = _clip.Config;
        // The rows' tensors are disposed with the caller's scope; their lengths stay valid.
        PromptConfiguration lengths = rows.Configuration;
        using var stream = new MemoryStream();
        new TrainedPrompts(rows, ones(3, config.EmbeddingWidth), 10).Write(stream);
        byte[] whole = stream.ToArray();
        return new FuzzTarget(
            name,
            6,
            DamagedSafetensors(whole),
            bytes =>
                TrainedPrompts
                    .Read(new MemoryStream(bytes), "fuzzed", lengths, rows.Mixture?.CandidateLengths, rows.Context?.Layout, 3, config)
                    .Dispose(),
            typeof(InvalidDataException),
            typeof(EndOfStreamException)
        )
        {
            Whole = [whole],
        };
    }
}
