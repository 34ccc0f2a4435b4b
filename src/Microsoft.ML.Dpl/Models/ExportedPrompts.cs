using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl;

/// <summary>
/// Trained prompts by themselves, as arrays that Python reads and writes: one safetensors file or a folder of .npy files. With a CLIP and
/// class names they make a model again, see <see cref="DplCatalog.DifferentiablePromptModel"/>.
/// </summary>
/// <remarks>
/// <para>Arrays, by name: <c>text.{layer}</c> and <c>image.{layer}</c>, [length, width], layers from 0, none where the length is 0;
/// of a mixture instead, for every layer, <c>text_mixture.{layer}</c> and <c>image_mixture.{layer}</c>, [Σ candidates, width], candidate by
/// candidate, with <c>text_weights.{layer}</c> and <c>image_weights.{layer}</c>, [1 + candidates], which sum to 1, the block without a
/// prompt first; <c>context</c>, [vectors, width], of a learned context; <c>task_residual</c> and <c>class_features</c>,
/// [classes, embedding];
/// <c>alphas.text</c> and <c>alphas.image</c>, [epochs, layers, candidates].</para>
/// <para>Texts: <c>configuration</c> (<c>text 6 4 0 | image 0 2 6</c>; none of a mixture), <c>mixture</c> (its candidate
/// lengths as a JSON list, <c>[0, 2, 4, 6]</c>), <c>classes</c> (a JSON list), <c>template</c>, <c>templates</c> (a JSON list),
/// <c>context</c> (how it stands, as JSON),
/// <c>backbone</c>,
/// <c>backbone_sha256</c>, <c>candidates</c>, <c>label</c>, <c>logit_scale</c>. All but <c>mixture</c> may be missing from files made
/// elsewhere.</para>
/// </remarks>
public sealed partial record ExportedPrompts
{
    private readonly float[,]? _taskResidual;

    /// <summary>One [length, width] per text layer, null where the length is 0; with a <see cref="Mixture"/> one [Σ candidates, width],
    /// candidate by candidate.</summary>
    public required IReadOnlyList<float[,]?> Text { get; init; }

    /// <summary>One [length, width] per image layer, null where the length is 0; with a <see cref="Mixture"/> one [Σ candidates, width],
    /// candidate by candidate.</summary>
    public required IReadOnlyList<float[,]?> Image { get; init; }

    /// <summary>Prompt rows per layer; with a <see cref="Mixture"/> those of the candidate with the largest weight, the shorter of equals.
    /// Where a file does not say how many layers there are, it ends with the last layer that has a prompt.</summary>
    /// <exception cref="ArgumentException">A branch has no layer, or a length is out of range.</exception>
    public PromptConfiguration Configuration => Mixture?.Largest ?? new(Lengths(Text), Lengths(Image));

    /// <summary>The candidates that every layer mixes, and their weights; null: each layer has one prompt, or none.</summary>
    public TrainedMixture? Mixture { get; init; }

    /// <summary>[vectors, width] the learned context in the input of the text tower, class by class where it is class-specific; null
    /// without one.</summary>
    public float[,]? Context { get; init; }

    /// <summary>How the <see cref="Context"/> stands in a text; null without one.</summary>
    public PromptContext? ContextDesign { get; init; }

    /// <summary>[classes, embedding] what is added to the unit text feature of each class before it becomes a unit vector again; null:
    /// nothing. See <see cref="DplTrainer.DesignOptions.TaskResidual"/>.</summary>
    /// <remarks>Its rows belong to the <see cref="ClassNames"/> that it came with. Where others take their place, names that are still
    /// there keep their rows and new ones have none.</remarks>
    public float[,]? TaskResidual
    {
        get => _taskResidual;
        init => (_taskResidual, ResidualClassNames) = (value, null);
    }

    /// <summary>Templates whose mean the class features are, where no text prompt is; null: <see cref="Template"/> alone.</summary>
    public IReadOnlyList<string>? Templates { get; init; }

    /// <summary>The classes in the order of the scores; null where a file does not name them.</summary>
    public IReadOnlyList<string>? ClassNames { get; init; }

    /// <summary>The text of a class; <c>{}</c> stands for its name.</summary>
    public string Template { get; init; } = ClassTemplate.Default;

    /// <summary>Name of the CLIP that the prompts were trained on; null: not known.</summary>
    public string? BackboneName { get; init; }

    /// <summary>SHA-256 of that CLIP's weights, as <see cref="ClipBackbone.Sha256"/> gives it. Null: any CLIP of the right shape will
    /// do.</summary>
    public string? BackboneSha256 { get; init; }

    /// <summary>
    /// [classes, embedding]: the classes' text features with these prompts, as unit rows. To look at only: a model made of the prompts
    /// computes them again. Null where there are none.
    /// </summary>
    public float[,]? ClassFeatures { get; init; }

    /// <summary>The factor on cosine similarities before the softmax, above 0: CLIP's own divided by the temperature that was learned with
    /// the prompts. Null: CLIP's own.</summary>
    public double? LogitScale { get; init; }

    /// <summary>The search's alphas; null without a search.</summary>
    public AlphaHistory? Alphas { get; init; }

    /// <summary>Whose rows <see cref="TaskResidual"/> has, as it was exported or read; null: those of <see cref="ClassNames"/>.</summary>
    internal IReadOnlyList<string>? ResidualClassNames { get; init; }

    /// <summary><see cref="TaskResidual"/> in the order of <see cref="ClassNames"/>; null where none of them has a row. In the caller's
    /// dispose scope.</summary>
    internal Tensor? PlacedResidual()
    {
        if (TaskResidual is null)
            return null;
        Tensor residual = NativeTensor.From(TaskResidual);
        return ResidualClassNames is null || ClassNames is null
            ? residual
            : PromptRows.OffsetsFor(residual, ResidualClassNames, ClassNames);
    }

    /// <summary>Whether the layers were counted from the arrays, so that later ones without a prompt may be missing.</summary>
    internal bool LayersAreCounted { get; init; }

    /// <summary>What the label column was; null: text.</summary>
    internal (LabelKind Kind, PrimitiveDataViewType ValueType)? Label { get; init; }

    /// <summary>Writes all arrays and texts, or nothing where that fails.</summary>
    /// <param name="path">A file that ends in .safetensors, which is replaced; or a folder for .npy files, empty or not yet there.</param>
    /// <exception cref="ArgumentException">The prompts do not fit the <see cref="Mixture"/>.</exception>
    /// <exception cref="IOException">The place cannot be written, or the folder is not empty.</exception>
    public void Save(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        RequireMixtureFits();
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor>();
        var texts = new Dictionary<string, string>();
        if (Mixture is null)
        {
            texts[ConfigurationName] = Configuration.ToString();
            Add(TextPrefix, Text, rows => rows is { Length: > 0 } ? NativeTensor.From(rows) : null);
            Add(ImagePrefix, Image, rows => rows is { Length: > 0 } ? NativeTensor.From(rows) : null);
        }
        else
        {
            texts[MixtureName] = JsonSerializer.Serialize(Mixture.CandidateLengths);
            Add(TextMixturePrefix, Text, rows => NativeTensor.From(rows!));
            Add(ImageMixturePrefix, Image, rows => NativeTensor.From(rows!));
            Add(TextWeightsPrefix, Mixture.TextWeights, weights => NativeTensor.From([.. weights]));
            Add(ImageWeightsPrefix, Mixture.ImageWeights, weights => NativeTensor.From([.. weights]));
        }
        texts[TemplateName] = Template;
        if (Templates is not null)
            texts[TemplatesName] = JsonSerializer.Serialize(Templates, Readable);
        if (Context is not null && ContextDesign is not null)
        {
            tensors[ContextName] = NativeTensor.From(Context);
            texts[ContextName] = JsonSerializer.Serialize(ContextDesign, Readable);
        }
        if (PlacedResidual() is { } residual)
            tensors[TaskResidualName] = residual;
        if (ClassFeatures is not null)
            tensors[ClassFeaturesName] = NativeTensor.From(ClassFeatures);
        if (Alphas is not null)
        {
            Alphas.AddTo(tensors, out string candidates);
            texts[AlphaHistory.CandidatesName] = candidates;
        }
        if (LogitScale is double scale)
            texts[LogitScaleName] = scale.ToString("R", CultureInfo.InvariantCulture);
        if (ClassNames is not null)
            texts[ClassesName] = JsonSerializer.Serialize(ClassNames, Readable);
        if (BackboneName is not null)
            texts[BackboneNameName] = BackboneName;
        if (BackboneSha256 is not null)
            texts[BackboneSha256Name] = BackboneSha256;
        if (Label is (var kind, var valueType))
            texts[LabelName] = kind == LabelKind.Text ? TextLabel : $"{KeyLabel} {valueType}";
        ArrayFiles.Write(path, tensors, texts);

        void Add<T>(string prefix, IReadOnlyList<T> layers, Func<T, Tensor?> tensorOf)
        {
            for (int layer = 0; layer < layers.Count; layer++)
                if (tensorOf(layers[layer]) is { } values)
                    tensors[string.Create(CultureInfo.InvariantCulture, $"{prefix}{layer}")] = values;
        }
    }

    /// <summary>
    /// Reads what <see cref="Save"/> writes, or what was made elsewhere: without the texts the lengths follow from the arrays, and
    /// <c>prompts.</c> may stand before an array's name. Other arrays are passed over.
    /// </summary>
    /// <param name="path">A .safetensors file or a folder of .npy files.</param>
    /// <exception cref="FileNotFoundException">There is nothing at <paramref name="path"/>.</exception>
    /// <exception cref="InvalidDataException">It is damaged, its parts contradict each other, or it holds no prompts.</exception>
    public static ExportedPrompts Load(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        using ITensorSource source = ArrayFiles.Open(path);
        return new Reader(source).Read();
    }

    /// <exception cref="ArgumentException">There is a mixture, and a layer has not the rows of all its candidates.</exception>
    internal void RequireMixtureFits()
    {
        if (Mixture is null)
            return;
        foreach (var (branch, layers, weights) in new[] { ("text", Text, Mixture.TextWeights), ("image", Image, Mixture.ImageWeights) })
        {
            if (layers.Count != weights.Count)
                throw new ArgumentException($"There are prompts for {layers.Count} {branch} layers, but weights for {weights.Count}.");
            for (int layer = 0; layer < layers.Count; layer++)
                if ((layers[layer]?.GetLength(0) ?? 0) != Mixture.Rows)
                    throw new ArgumentException(
                        $"The prompt of {branch} layer {layer} has {layers[layer]?.GetLength(0) ?? 0} rows, but the candidates of the "
                            + $"mixture have {Mixture.Rows} together."
                    );
        }
    }

    private static int[] Lengths(IReadOnlyList<float[,]?> layers) => [.. layers.Select(rows => rows?.GetLength(0) ?? 0)];
}
