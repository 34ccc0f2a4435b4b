using System.Globalization;
using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Training;

/// <summary>One file of a design, with both towers and the prompt settings of its metadata.</summary>
/// <param name="design">The name of a folder below <c>designs</c>.</param>
/// <param name="name">One of <see cref="Names"/>.</param>
internal sealed class DesignCase(string design, string name) : GoldenDesign(design, Path.GetDirectoryName(name)!, Path.GetFileName(name))
{
    private ImageWeights? _image;

    public ImageWeights Image => _image ??= ClipWeightsReader.ReadImageTower(Clip, ClipNaming.OpenAI, Config, CPU);

    /// <summary>A setting in the file's metadata.</summary>
    public string Said(string key) => Metadata[key];

    public int Whole(string key) => int.Parse(Said(key), CultureInfo.InvariantCulture);

    public double Real(string key) => double.Parse(Said(key), CultureInfo.InvariantCulture);

    public string? Find(string key) => Metadata.GetValueOrDefault(key);

    /// <summary>The files of a design, as "case/file", whose file names are accepted.</summary>
    public static TheoryData<string> Names(string design, Func<string, bool> accepts)
    {
        string folder = Path.Combine(Designs, design);
        return
        [
            .. Directory
                .EnumerateFiles(folder, "*.safetensors", SearchOption.AllDirectories)
                .Select(path => Path.GetRelativePath(folder, path)[..^".safetensors".Length].Replace('\\', '/'))
                .Where(name => accepts(Path.GetFileName(name)))
                .Order(StringComparer.Ordinal),
        ];
    }

    public static int[][] Ids(Tensor tokens) => [.. tokens.data<long>().ToArray().Select(id => (int)id).Chunk((int)tokens.shape[^1])];

    /// <summary>The layout given by the file's settings; without a position, the context comes first.</summary>
    public ContextLayout Layout()
    {
        ContextPosition position = Find("class_token_position") is { } said
            ? Enum.Parse<ContextPosition>(said, ignoreCase: true)
            : ContextPosition.End;
        return new ContextLayout(Whole("context_length"), position, Find("class_specific") == "true");
    }

    /// <summary>The classes' texts including the context.</summary>
    public int[][] Arranged()
    {
        ContextLayout layout = Layout();
        long[] names = Has("input.name_lengths") ? this["input.name_lengths"].data<long>().ToArray() : [];
        return
        [
            .. Rows(this["input.tokens"])
                .Select(
                    (ids, index) =>
                        // The file's texts have placeholders where the context goes.
                        layout.Arrange([ids[0], .. ids.Skip(1 + layout.Length)], names.Length > 0 ? (int)names[index] : 0, index)
                ),
        ];
    }

    /// <summary>A context with a tensor's values, [length, width] or [classes, length, width]. The caller owns it.</summary>
    public InputContext Context(string tensor) => new(Layout(), this[tensor].reshape(-1, Config.Text.Width), CPU);

    public override void Dispose()
    {
        _image?.Dispose();
        base.Dispose();
    }
}

/// <summary>CLIP with nothing but a learned context: CoOp.</summary>
internal sealed class ContextModel : IDisposable
{
    private readonly ImageTower _image;
    private readonly ClassTexts _texts,
        _teacherTexts;
    private readonly ClipParts? _parts;

    /// <param name="golden">The case, not owned.</param>
    /// <param name="context">The name of the tensor with the context's values.</param>
    /// <param name="workers">The number of workers; 0: the calling thread computes.</param>
    public ContextModel(DesignCase golden, string context, int workers = 0)
    {
        int[][] texts = golden.Arranged();
        _image = new ImageTower(golden.Image);
        _texts = new ClassTexts(texts, golden.Text);
        _teacherTexts = new ClassTexts(
            GoldenDesign.Rows(golden[golden.Has("input.teacher_tokens") ? "input.teacher_tokens" : "input.tokens"]),
            golden.Text
        );
        _parts = workers == 0 ? null : new ClipParts(golden.Text, golden.Image, texts, workers, threadsEach: 1);
        Context = golden.Context(context);
        Clip = new PromptedClip(new TextTower(golden.Text), _image, _texts, _parts);
        Prompts = new BranchPair<IPromptedBranch>(
            Text: new ContextBranch(new PlainBranch(golden.Config.Text.Layers), Context),
            Image: new PlainBranch(golden.Config.Image.Layers)
        );
        TeacherText = new TextTower(golden.Text).UnitFeatures(_teacherTexts, new PlainBranch(golden.Config.Text.Layers));
    }

    public InputContext Context { get; }
    public PromptedClip Clip { get; }
    public BranchPair<IPromptedBranch> Prompts { get; }

    /// <summary>[classes, embedding] zero-shot CLIP's class features.</summary>
    public Tensor TeacherText { get; }

    public ClipOutputs Outputs(Tensor images, BackwardTensors backward) => Clip.Outputs(images, Prompts, backward);

    /// <summary>The gradient of a loss with respect to the context, in the caller's dispose scope.</summary>
    public Tensor Gradient(Tensor images, Func<ClipOutputs, Tensor> loss)
    {
        using var backward = new BackwardTensors();
        Parameter vectors = Context.Vectors;
        vectors.requires_grad_(true);
        loss(Outputs(images, backward)).backward();
        backward.ThrowFailure();
        Tensor gradient = vectors.grad!.clone();
        vectors.grad = null;
        return gradient;
    }

    public void Dispose()
    {
        Context.Dispose();
        _parts?.Dispose();
        _texts.Dispose();
        _teacherTexts.Dispose();
        _image.Dispose();
    }
}

/// <summary>Recorded batches, the same in every epoch.</summary>
internal sealed class RecordedBatches(DesignCase golden) : IBatchSource
{
    private readonly Tensor _images = golden["input.images"],
        _labels = golden["input.labels"];

    public int BatchesPerEpoch => (int)_labels.shape[0];

    public ImageBatch Read(int epoch, int index) =>
        new(_images[index].clone().DetachFromDisposeScope(), _labels[index].clone().DetachFromDisposeScope());
}
