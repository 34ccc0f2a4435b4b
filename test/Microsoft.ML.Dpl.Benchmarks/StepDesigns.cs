using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Tests.Network;
using Microsoft.ML.Dpl.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>Training steps with other prompt designs on one random CLIP, all with deep prompts in both towers, to be compared with the step
/// that has only those. Owns its resources.</summary>
internal sealed class StepDesigns : IDisposable
{
    /// <summary>The step that the others are compared with.</summary>
    public const string Plain = "training step as designs take it";

    private const int ContextLength = 4;

    private readonly IDisposable _scope = NewDisposeScope();
    private readonly List<IDisposable> _owned = [];
    private readonly StepSize _size;
    private readonly RandomClip _clip;
    private readonly ImageBatch _images;
    private readonly bool _workers;
    private bool _sharing;

    /// <param name="size">Shape, classes, images and prompt lengths.</param>
    /// <param name="workers">Whether workers share a step where the library would use them.</param>
    public StepDesigns(StepSize size, bool workers)
    {
        LibTorch.EnsureLoaded();
        (_size, _workers) = (size, workers);
        ClipConfig config = size.Config;
        _clip = Own(new RandomClip(config, seed: 1));
        using Generator generator = Seeds.Generator(2, "benchmark");
        _images = Own(
            new ImageBatch(
                randn([size.Batch, 3, config.ImageSize, config.ImageSize], generator: generator),
                tensor(Enumerable.Range(0, size.Batch).Select(i => (long)(i % size.Classes)).ToArray()),
                SourceRows: [.. Enumerable.Range(0, size.Batch)]
            )
        );
        // The context replaces the tokens of "a photo of a".
        int[][] texts = size.Texts(),
            contexts = [.. texts.Select(text => new[] { text[0], -1, -2, -3, -4 }.Concat(text.Skip(1 + ContextLength)).ToArray())];
        PromptedClip ordinary = Model(texts),
            withContext = Model(contexts);
        Teacher teacher = Own(TeacherOf(ordinary));
        ObjectiveSettings nothing = new();
        Works =
        [
            Step(Plain, ordinary, nothing, teacher, new IndependentPrompts(), context: false),
            Step("… with a context of 4", withContext, nothing, teacher, new IndependentPrompts(), context: true),
            Step("… coupled", ordinary, nothing, teacher, new CoupledPrompts(), context: false),
            Step(
                "… with KgCoOp",
                ordinary,
                new() { Regularizers = [new KgCoOpLoss(8)] },
                teacher,
                new IndependentPrompts(),
                context: false
            ),
            Step(
                "… with PromptSRC",
                ordinary,
                new() { Regularizers = [new PromptSrcLoss(25, 10, 1)] },
                teacher,
                new IndependentPrompts(),
                context: false
            ),
            Step(
                "… with ProGrad",
                ordinary,
                new() { ProGrad = new ProGradSettings(1, 1) },
                teacher,
                new IndependentPrompts(),
                context: false
            ),
        ];
    }

    /// <summary>The workloads, one step each.</summary>
    public IReadOnlyList<Work> Works { get; }

    public void Dispose()
    {
        for (int i = _owned.Count - 1; i >= 0; i--)
            _owned[i].Dispose();
        _scope.Dispose();
    }

    private Work Step(string name, PromptedClip model, ObjectiveSettings beside, Teacher teacher, IPromptDesign design, bool context)
    {
        ClipConfig config = _size.Config;
        int longest = _size.Candidates[^1];
        var lengths = new PromptConfiguration(
            [.. Enumerable.Repeat(longest, config.Text.Layers)],
            [.. Enumerable.Repeat(longest, config.Image.Layers)]
        );
        var shape = new PromptShape(config, CPU, Seed: 3);
        PromptDistribution initial = PromptDistribution.Normal(0.02);
        BranchPair<IFixedBranch> branches = design.CreatePrompts(lengths, shape, initial, "benchmark");
        Own(branches.Text);
        Own(branches.Image);
        var prompts = branches.Select<IPromptedBranch>(branch => branch);
        if (context)
        {
            using Generator generator = shape.Generator("benchmark context");
            var layout = new ContextLayout(ContextLength, ContextPosition.End, ClassSpecific: false);
            InputContext vectors = Own(InputContext.Create(layout, _size.Classes, config.Text.Width, words: null, initial, generator, CPU));
            prompts = prompts with { Text = new ContextBranch(branches.Text, vectors) };
        }
        TorchSharp.Modules.Parameter[] parameters = [.. prompts.ImageFirst.SelectMany(branch => branch.Parameters)];
        foreach (Tensor parameter in parameters)
            parameter.requires_grad_(true);
        PromptOptimizer optimizer = Own(new PromptOptimizer(parameters, temperature: null, new TrainingSettings { LearningRate = 1e-3 }));
        var objective = new PromptObjective(beside, new Teachers(teacher));
        return new Work(name, () =>
        {
            using IDisposable? limit = _sharing ? NativeThreads.LimitCallingThread(1) : null;
            objective.Step(
                optimizer,
                backward => model.Outputs(_images.Images, prompts, backward),
                temperature: null,
                _images,
                FitStage.Training,
                epoch: 0,
                step: 0,
                maxGradientNorm: null
            );
        });
    }

    private PromptedClip Model(int[][] texts)
    {
        ClipParts? parts = _workers ? ClipParts.Create(_clip.Text, _clip.Image, texts, _size.Batch) : null;
        if (parts is not null)
            Own(parts);
        _sharing = parts is not null;
        return new PromptedClip(new TextTower(_clip.Text), Own(new ImageTower(_clip.Image)), Own(new ClassTexts(texts, _clip.Text)), parts);
    }

    /// <summary>The teacher as in a fit: class features, and a table with its features of every image.</summary>
    private Teacher TeacherOf(PromptedClip model)
    {
        using Tensor text = model.ClassFeatures(new PlainBranch(_size.Config.Text.Layers));
        using var tower = new FoldedImageTower(_clip.Image, new Tensor?[_size.Config.Image.Layers]);
        using var noGrad = no_grad();
        return Teacher.FromTable(text, model.ImageFeatures(tower, _images.Images).DetachFromDisposeScope(), _clip.Text.LogitScale);
    }

    private T Own<T>(T resource)
        where T : IDisposable
    {
        _owned.Add(resource);
        return resource;
    }
}
