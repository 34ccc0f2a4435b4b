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

/// <summary>The size of the step to measure.</summary>
/// <param name="Shape">One of <see cref="ClipShapes.Names"/>.</param>
/// <param name="Classes">The number of classes.</param>
/// <param name="Batch">The number of images per step.</param>
/// <param name="Candidates">Prompt lengths of the search; training uses the longest in every layer.</param>
internal sealed record StepSize(string Shape, int Classes, int Batch, int[] Candidates)
{
    public ClipConfig Config { get; } = ClipShapes.Of(Shape);

    /// <summary>Token ids of "a photo of a …." with names of realistic length: five shared tokens, one to three of a name, a full stop and
    /// the end token.</summary>
    public int[][] Texts()
    {
        Random random = Seeds.Random(3, "benchmark texts");
        int start = Config.VocabularySize - 2,
            end = Config.VocabularySize - 1;
        return
        [
            .. Enumerable
                .Range(0, Classes)
                .Select(_ =>
                    (int[])[start, 1, 2, 3, 1, .. Enumerable.Range(0, 1 + random.Next(3)).Select(_ => random.Next(start)), 4, end]
                ),
        ];
    }

    public StepOperations Operations() => StepOperations.Count(Config, Batch, Texts(), Candidates, Candidates[^1]);
}

/// <summary>One random CLIP with a supernet and fixed prompts, and the steps of both forms on the same images. Owns its
/// resources.</summary>
internal sealed class StepModels : IDisposable
{
    private readonly IDisposable _scope = NewDisposeScope();
    private readonly List<IDisposable> _owned = [];
    private readonly StepSize _size;
    private readonly RandomClip _clip;
    private readonly ImageBatch _images;
    private readonly int[][] _texts;
    private readonly Supernet _supernet;
    private readonly BranchPair<FixedBranch> _prompts;
    private readonly PromptedClip _model,
        _imageModel;
    private readonly AlphaStep _alphaStep;
    private readonly PromptStep _promptStep;
    private readonly optim.Optimizer _sgd,
        _imageSgd;
    private readonly PlainBranch _noText;
    private readonly int? _naiveChunk;
    private readonly ComputePrecision _precision;
    private readonly Device _device;
    private bool _sharing;
    private NaiveClip? _naive;
    private Tensor? _naiveTexts;

    /// <param name="size">Shape, classes, images and prompt lengths.</param>
    /// <param name="workers">Whether workers share a step where the library would use them.</param>
    /// <param name="naiveChunk">The number of classes whose graph the naive form holds at once; null: all, as in the authors' code.</param>
    /// <param name="precision">The precision of the matrix products in the library's steps.</param>
    /// <param name="device">Where to compute; null: on the CPU.</param>
    public StepModels(
        StepSize size,
        bool workers = true,
        int? naiveChunk = null,
        ComputePrecision precision = ComputePrecision.Float32,
        Device? device = null
    )
    {
        LibTorch.EnsureLoaded();
        (_naiveChunk, _precision, _device) = (naiveChunk, precision, device ?? CPU);
        _size = size;
        ClipConfig config = size.Config;
        _clip = Own(new RandomClip(config, seed: 1));
        using Generator generator = Seeds.Generator(2, "benchmark");
        _texts = size.Texts();
        _images = Own(
            new ImageBatch(
                randn([size.Batch, 3, config.ImageSize, config.ImageSize], generator: generator).to(_device),
                tensor(Enumerable.Range(0, size.Batch).Select(i => (long)(i % size.Classes)).ToArray(), device: _device)
            )
        );
        _supernet = Own(
            new Supernet(
                new BranchPair<SupernetBranch>(
                    Text: Candidates(config.Text, PromptDistribution.Uniform),
                    Image: Candidates(config.Image, PromptDistribution.Normal(1))
                )
            )
        );
        SupernetBranch Candidates(ClipTransformerConfig branch, PromptDistribution prompts) =>
            SupernetBranch.Create(size.Candidates, branch.Layers, branch.Width, prompts, generator, _device);
        FixedBranch Fixed(ClipTransformerConfig branch) =>
            Own(
                FixedBranch.Create(
                    [.. Enumerable.Repeat(size.Candidates[^1], branch.Layers)],
                    branch.Width,
                    PromptDistribution.Normal(0.02),
                    generator,
                    _device
                )
            );
        _prompts = new BranchPair<FixedBranch>(Text: Fixed(config.Text), Image: Fixed(config.Image));
        _prompts.Text.RequireGradients(true);
        _prompts.Image.RequireGradients(true);
        bool onCpu = _device.type == TorchSharp.DeviceType.CPU;
        Tensor[] Moved(IEnumerable<Tensor> tensors) => [.. tensors.Select(t => t.to(_device).DetachFromDisposeScope())];
        ImageWeights image = onCpu ? _clip.Image : Own(ImageWeights.FromTensors(config, Moved(_clip.Image.Tensors)));
        TextWeights text = onCpu ? _clip.Text : Own(TextWeights.FromTensors(config, Moved(_clip.Text.Tensors), _clip.Text.LogitScale));
        StepBlocks? blocks = precision == ComputePrecision.BFloat16 ? Own(new StepBlocks(text, image)) : null;
        PromptedClip Model()
        {
            ClipParts? parts = workers ? ClipParts.Create(text, image, _texts, size.Batch, blocks) : null;
            if (parts is not null)
                Own(parts);
            _sharing = parts is not null;
            return new PromptedClip(
                new TextTower(text, blocks),
                Own(new ImageTower(image, blocks)),
                Own(new ClassTexts(_texts, text)),
                parts
            );
        }
        // Separate models, as a fit has: each caches the text layers below its first prompt.
        (_model, _imageModel) = (Model(), Model());
        var settings = new SearchSettings { Candidates = size.Candidates };
        (_alphaStep, _promptStep) = (Own(new AlphaStep(_model, _supernet, settings)), Own(new PromptStep(_model, _supernet, settings)));
        optim.Optimizer Sgd(IEnumerable<TorchSharp.Modules.Parameter> parameters) =>
            Own(optim.SGD(parameters, 1e-3, momentum: 0.9, weight_decay: 5e-4));
        (_sgd, _imageSgd) = (Sgd([.. _prompts.ImageFirst.SelectMany(branch => branch.Parameters)]), Sgd(_prompts.Image.Parameters));
        _noText = new PlainBranch(config.Text.Layers);
    }

    public void AlphaHalf() => AsInAFit(() => _alphaStep.Run(_images, 0, 0));

    public void PromptHalf() => AsInAFit(() => _promptStep.Run(_images, 0, 0));

    public void Training() => TrainingStep(_model, _sgd, _prompts.Text);

    /// <summary>A training step where the search chose length 0 for every text layer, so that no text changes.</summary>
    public void TrainingOfImages() => TrainingStep(_imageModel, _imageSgd, _noText);

    private void TrainingStep(PromptedClip model, optim.Optimizer optimizer, IPromptedBranch text) =>
        AsInAFit(() =>
            OptimizerStep.Take(
                optimizer,
                backward =>
                    Losses.CrossEntropy(
                        model.Logits(_images.Images, new BranchPair<IPromptedBranch>(text, _prompts.Image), backward),
                        _images.Labels
                    ),
                FitStage.Training,
                0,
                0
            )
        );

    /// <summary>Either half of a search step of the authors' algorithm, which differentiates with respect to both alphas and prompts in
    /// each half.</summary>
    public void NaiveSearchHalf()
    {
        _supernet.RequireGradients(ofAlphas: true, ofPrompts: true);
        NaiveStep(NaiveLayer.From(_supernet.Branches.Image), NaiveLayer.From(_supernet.Branches.Text));
    }

    public void NaiveTraining() => NaiveStep(NaiveLayer.From(_prompts.Image), NaiveLayer.From(_prompts.Text));

    /// <summary>Warms up the two naive steps above at lower cost: with chunks, it processes only the first chunk.</summary>
    public void NaiveWarmUp()
    {
        _supernet.RequireGradients(ofAlphas: true, ofPrompts: true);
        NaiveStep(NaiveLayer.From(_supernet.Branches.Image), NaiveLayer.From(_supernet.Branches.Text), chunks: 1);
    }

    private void NaiveStep(NaiveLayer[] image, NaiveLayer[] text, int chunks = int.MaxValue)
    {
        using var step = NewDisposeScope();
        if (_naiveChunk is not int chunk)
        {
            Losses.CrossEntropy(Naive.Logits(_images.Images, _texts, image, text), _images.Labels).backward();
            return;
        }
        // Computed only once, because the amount of work does not depend on the values.
        _naiveTexts ??= Own(Naive.TextFeaturesInChunks(_texts, text, chunk));
        Naive.BackwardInChunks(
            _naiveTexts,
            features => Losses.CrossEntropy(Naive.Logits(Naive.ImageFeatures(_images.Images, image), features), _images.Labels),
            _texts,
            text,
            chunk,
            chunks
        );
    }

    /// <summary>Runs a step as a fit does: with the calling thread limited to one thread where workers share the step, and with the GPU
    /// rounding that the precision allows.</summary>
    private void AsInAFit(Action step)
    {
        using IDisposable? rounding = _precision == ComputePrecision.TensorFloat32 ? TensorFloat32.Allow() : null;
        using IDisposable? limit = _sharing ? NativeThreads.LimitCallingThread(1) : null;
        step();
    }

    private NaiveClip Naive => _naive ??= Own(new NaiveClip(_clip, _size.Config, _device));

    public void Dispose()
    {
        for (int i = _owned.Count - 1; i >= 0; i--)
            _owned[i].Dispose();
        _scope.Dispose();
    }

    private T Own<T>(T resource)
        where T : IDisposable
    {
        _owned.Add(resource);
        return resource;
    }
}
