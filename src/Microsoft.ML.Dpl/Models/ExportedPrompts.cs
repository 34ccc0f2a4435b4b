using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl;

/// <summary>
/// Trained prompts on their own, as arrays that Python can read and write: one safetensors file or a folder of .npy files. A CLIP and class
/// names turn them back into a model, see <see cref="DplCatalog.DifferentiablePromptModel"/>.
/// </summary>
/// <remarks>
/// <para>Arrays, by name: <c>text.{layer}</c> and <c>image.{layer}</c>, [length, width], layers counted from 0, no array where the length
/// is 0; for a mixture instead, for every layer, <c>text_mixture.{layer}</c> and <c>image_mixture.{layer}</c>, [Σ candidates, width],
/// candidate by candidate, with <c>text_weights.{layer}</c> and <c>image_weights.{layer}</c>, [candidates], which sum to 1, the candidate
/// without a prompt first; <c>context</c>, [vectors, width], the learned context; <c>task_residual</c> and <c>class_features</c>, [classes,
/// embedding]; <c>alphas.text</c> and <c>alphas.image</c>, [epochs, layers, candidates].</para>
/// <para>Texts: <c>configuration</c> (<c>text 6 4 0 | image 0 2 6</c>; not for a mixture), <c>mixture</c> (its candidate lengths as a JSON
/// list, <c>[0, 2, 4, 6]</c>), <c>classes</c> (a JSON list), <c>template</c>, <c>templates</c> (a JSON list), <c>context</c> (its layout,
/// as JSON), <c>backbone</c>, <c>backbone_sha256</c>, <c>candidates</c>, <c>label</c>, <c>logit_scale</c>,
/// <c>apply_exif_orientation</c> (<c>true</c> or <c>false</c>), <c>max_image_pixels</c>, <c>threshold</c>. Files from other programs may
/// omit any of these except <c>mixture</c>.</para>
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

    /// <summary>Prompt rows per layer; with a <see cref="Mixture"/>, those of the candidate with the largest weight, the shorter one in a
    /// tie. If a file does not state the number of layers, the last layer is the last one that has a prompt.</summary>
    /// <exception cref="ArgumentException">A branch has no layer, or a length is out of range.</exception>
    public PromptConfiguration Configuration => Mixture?.Largest ?? new(Lengths(Text), Lengths(Image));

    /// <summary>The candidates that every layer mixes, and their weights; null if each layer has a single prompt or none.</summary>
    public TrainedMixture? Mixture { get; init; }

    /// <summary>[vectors, width] the learned context in the input of the text tower, class by class if it is class-specific; null without
    /// one.</summary>
    public float[,]? Context { get; init; }

    /// <summary>How the <see cref="Context"/> is placed in a text; null without one.</summary>
    public PromptContext? ContextDesign { get; init; }

    /// <summary>[classes, embedding] offsets added to the unit-norm text feature of each class, which is then normalised again; null if
    /// there are none. See <see cref="DplTrainer.DesignOptions.TaskResidual"/>.</summary>
    /// <remarks>Its rows belong to the <see cref="ClassNames"/> that it was exported with. If these are replaced, names that remain keep
    /// their rows and new names have none.</remarks>
    public float[,]? TaskResidual
    {
        get => _taskResidual;
        init => (_taskResidual, ResidualClassNames) = (value, null);
    }

    /// <summary>Templates over which the class features are averaged if there is no text prompt; null if only <see cref="Template"/> is
    /// used.</summary>
    public IReadOnlyList<string>? Templates { get; init; }

    /// <summary>The classes in the order of the scores; null if the file does not contain them.</summary>
    public IReadOnlyList<string>? ClassNames { get; init; }

    /// <summary>The text of a class; <c>{}</c> stands for its name.</summary>
    public string Template { get; init; } = ClassTemplate.Default;

    /// <summary>Name of the CLIP that the prompts were trained with; null if unknown.</summary>
    public string? BackboneName { get; init; }

    /// <summary>SHA-256 of that CLIP's weights, as in <see cref="ClipBackbone.Sha256"/>; null to accept any CLIP of the right
    /// shape.</summary>
    public string? BackboneSha256 { get; init; }

    /// <summary>
    /// [classes, embedding]: the classes' text features with these prompts, as rows of unit norm; null if there are none. For information
    /// only: a model built from the prompts recomputes them.
    /// </summary>
    public float[,]? ClassFeatures { get; init; }

    /// <summary>The factor on cosine similarities before the softmax, above 0: CLIP's own divided by the temperature learned with the
    /// prompts; null for CLIP's own.</summary>
    public double? LogitScale { get; init; }

    /// <summary>Whether images are rotated and mirrored according to their EXIF orientation; see
    /// <see cref="DplTrainer.ImageOptions.ApplyExifOrientation"/>.</summary>
    public bool ApplyExifOrientation { get; init; }

    /// <summary>The most pixels an image file may have; see <see cref="DplTrainer.ImageOptions.MaxPixels"/>.</summary>
    public long MaxImagePixels { get; init; } = ImageDecoder.DefaultMaximumPixels;

    /// <summary>The minimum probability for a class to be predicted, above 0 and at most 1; null to always predict the most probable class.
    /// See <see cref="DplTransformer.Threshold"/>.</summary>
    public double? Threshold { get; init; }

    /// <summary>The search's alphas; null without a search.</summary>
    public AlphaHistory? Alphas { get; init; }

    /// <summary>The classes that the rows of <see cref="TaskResidual"/> belonged to when it was exported or read; null for
    /// <see cref="ClassNames"/>.</summary>
    internal IReadOnlyList<string>? ResidualClassNames { get; init; }

    /// <summary><see cref="TaskResidual"/> in the order of <see cref="ClassNames"/>; null if none of the classes has a row. The tensor
    /// belongs to the caller's dispose scope.</summary>
    internal Tensor? PlacedResidual()
    {
        if (TaskResidual is null)
            return null;
        Tensor residual = NativeTensor.From(TaskResidual);
        return ResidualClassNames is null || ClassNames is null
            ? residual
            : PromptRows.OffsetsFor(residual, ResidualClassNames, ClassNames);
    }

    /// <summary>Whether the number of layers was inferred from the arrays, so that trailing layers without a prompt may be
    /// missing.</summary>
    internal bool LayersAreCounted { get; init; }

    /// <summary>The kind of the label column and the type of its values; null for text.</summary>
    internal (LabelKind Kind, PrimitiveDataViewType ValueType)? Label { get; init; }

    /// <summary>Writes all arrays and texts, or nothing if writing fails.</summary>
    /// <param name="path">A file name that ends in .safetensors (an existing file is replaced), or a folder for .npy files that is empty or
    /// does not exist yet.</param>
    /// <exception cref="ArgumentException">The prompts do not fit the <see cref="Mixture"/>.</exception>
    /// <exception cref="IOException">The path cannot be written to, or the folder is not empty.</exception>
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
        texts[ApplyExifOrientationName] = ApplyExifOrientation ? "true" : "false";
        texts[MaxImagePixelsName] = MaxImagePixels.ToString(CultureInfo.InvariantCulture);
        if (Threshold is double threshold)
            texts[ThresholdName] = threshold.ToString("R", CultureInfo.InvariantCulture);
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
    /// Reads prompts written by <see cref="Save"/> or by another program: without the texts, the lengths are inferred from the arrays, and
    /// array names may have the prefix <c>prompts.</c>. Other arrays are ignored.
    /// </summary>
    /// <param name="path">A .safetensors file or a folder of .npy files.</param>
    /// <exception cref="FileNotFoundException">There is nothing at <paramref name="path"/>.</exception>
    /// <exception cref="InvalidDataException">The data is damaged, contradicts itself, or contains no prompts.</exception>
    public static ExportedPrompts Load(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        using ITensorSource source = ArrayFiles.Open(path);
        return new Reader(source).Read();
    }

    /// <exception cref="ArgumentException">There is a mixture, and a layer's number of rows is not the sum of all candidate
    /// lengths.</exception>
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
                            + $"mixture have {Mixture.Rows} in total."
                    );
        }
    }

    private static int[] Lengths(IReadOnlyList<float[,]?> layers) => [.. layers.Select(rows => rows?.GetLength(0) ?? 0)];
}
