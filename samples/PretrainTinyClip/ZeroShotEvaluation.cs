using Drawing;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace PretrainTinyClip;

/// <summary>The result of one zero-shot task.</summary>
/// <param name="Task">Name of the task.</param>
/// <param name="Classes">Number of classes to choose from.</param>
/// <param name="Accuracy">Fraction of correct predictions, 0 to 1.</param>
/// <param name="Chance">Accuracy of random guessing, 0 to 1.</param>
/// <param name="Images">Number of images.</param>
internal sealed record ZeroShotResult(string Task, int Classes, double Accuracy, double Chance, int Images);

/// <summary>Zero-shot accuracy on drawings that are not trained on, with texts of the form "a photo of a {}.".</summary>
internal static class ZeroShotEvaluation
{
    private const int Chunk = 256;

    /// <summary>A separate series of images; the training's series uses the seed itself.</summary>
    public static DrawnImages HeldOut(int seed) => new(unchecked((int)(Seeds.Derive(seed, "held-out pictures") >> 33)));

    public static IReadOnlyList<ZeroShotResult> Run(
        ContrastiveModel model,
        ClipConfig config,
        ClipTokenizer tokenizer,
        DrawnImages images,
        int count
    )
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var scenes = new Scene[count];
        Tensor features = Features(model, config, images, scenes);
        int shapes = Words.Shapes.Count,
            colours = Words.Colours.Count,
            textures = Words.Textures.Count;
        ZeroShotResult Ask(string task, int classes, Func<int, string> text, Func<Scene, int> answer)
        {
            using var asking = NewDisposeScope();
            using var resources = new StepResources();
            Tensor texts = model.UnitTexts(
                [.. Enumerable.Range(0, classes).Select(i => tokenizer.Encode(text(i), config.ContextLength, out _))],
                resources
            );
            long[] best = [.. features.matmul(texts.t()).argmax(1).cpu().data<long>()];
            int right = scenes.Where((scene, i) => best[i] == answer(scene)).Count();
            return new ZeroShotResult(task, classes, (double)right / count, 1.0 / classes, count);
        }
        return
        [
            Ask("shape", shapes, i => Caption.Plain(shape: i), s => s.Shape),
            Ask("colour", colours, i => Caption.Plain(colour: i), s => s.Colour),
            Ask("texture", textures, i => Caption.Plain(texture: i), s => s.Texture),
            Ask(
                "colour and shape",
                colours * shapes,
                i => Caption.Plain(shape: i % shapes, colour: i / shapes),
                s => s.Colour * shapes + s.Shape
            ),
            Ask(
                "texture and shape",
                textures * shapes,
                i => Caption.Plain(shape: i % shapes, texture: i / shapes),
                s => s.Texture * shapes + s.Shape
            ),
        ];
    }

    /// <summary>Computes image features [images, embedding] and fills <paramref name="scenes"/>.</summary>
    private static Tensor Features(ContrastiveModel model, ClipConfig config, DrawnImages images, Scene[] scenes)
    {
        using var painter = new ScenePainter(config.ImageSize);
        var parts = new List<Tensor>();
        for (int start = 0; start < scenes.Length; start += Chunk)
        {
            int count = Math.Min(Chunk, scenes.Length - start);
            var planes = new byte[count * painter.Length];
            for (int i = 0; i < count; i++)
            {
                scenes[start + i] = images[start + i].Scene;
                painter.Paint(scenes[start + i], planes.AsSpan(i * painter.Length, painter.Length));
            }
            using var scope = NewDisposeScope();
            using var resources = new StepResources();
            parts.Add(model.UnitImages(planes, count, resources).MoveToOuterDisposeScope());
        }
        return cat(parts, 0);
    }
}
