using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl;

// Export of a model's prompts, and import as a model.
public sealed partial class DplTransformer
{
    /// <summary>Copies the trained values: prompts, class features and the search's alphas, with what is needed to create a model from them
    /// again: the names, how images are read and the <see cref="Threshold"/>. The image folder is not copied, because it belongs to the
    /// machine.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public ExportedPrompts ExportPrompts() =>
        _scorer.Use(() =>
            new ExportedPrompts
            {
                Text = [.. _prompts.Rows.Text.Select(Rows)],
                Image = [.. _prompts.Rows.Image.Select(Rows)],
                Mixture = Mixture,
                Context = Rows(_prompts.Rows.Context?.Vectors),
                ContextDesign = Context,
                TaskResidual = Rows(_prompts.Rows.ClassOffsets),
                ResidualClassNames = _prompts.Rows.ClassOffsets is null ? null : [.. ClassNames],
                Templates = Templates,
                ClassNames = [.. ClassNames],
                Template = Template,
                BackboneName = Backbone.Name,
                BackboneSha256 = Backbone.Sha256,
                ClassFeatures = Rows(_prompts.ClassFeatures),
                LogitScale = _prompts.LogitScale,
                Alphas = SearchReport is null ? null : AlphaHistory.From(SearchReport),
                ApplyExifOrientation = ApplyExifOrientation,
                MaxImagePixels = MaxImagePixels,
                Threshold = Threshold,
                Label = (_columns.Classes.Kind, _columns.Classes.ValueType),
            }
        );

    /// <summary>Creates a model from prompts, recomputing the classes' text features.</summary>
    /// <param name="environment">Supplies the log and the GPU setting.</param>
    /// <param name="prompts">The prompts, with class names.</param>
    /// <param name="backbone">The CLIP that the prompts were trained with.</param>
    /// <param name="columnsOf">The model's columns for the classes.</param>
    /// <param name="device">The device's name; null for the environment's GPU or, without one, the CPU.</param>
    /// <param name="imageFolder">The folder that relative image paths are resolved against; null for the current folder.</param>
    /// <exception cref="ArgumentException">The prompts do not fit the backbone, have no classes, or have classes that CLIP cannot read or
    /// distinguish.</exception>
    internal static DplTransformer FromPrompts(
        IHostEnvironment environment,
        ExportedPrompts prompts,
        ClipBackbone backbone,
        Func<LabelClasses, ModelColumns> columnsOf,
        string? device,
        string? imageFolder = null
    )
    {
        if (!backbone.HasTextTower)
            throw new ArgumentException(
                $"The CLIP '{backbone.Name}' came in a model zip that carries its image tower only, but class names need the text "
                    + "tower: open CLIP's folder.",
                nameof(backbone)
            );
        if (!ClassTemplate.IsValid(prompts.Template))
            throw new ArgumentException(ClipTemplates.NotOnce(nameof(ExportedPrompts.Template), prompts.Template), nameof(prompts));
        if (prompts.BackboneSha256 is { } expected && !string.Equals(expected, backbone.Sha256, StringComparison.OrdinalIgnoreCase))
            throw new ArgumentException(
                $"The prompts were trained on the CLIP '{prompts.BackboneName}' (weights' SHA-256 {expected}), but {backbone.Name} "
                    + $"has other weights (SHA-256 {backbone.Sha256}). Open that CLIP, or set {nameof(ExportedPrompts.BackboneSha256)} to "
                    + "null to use them on another.",
                nameof(prompts)
            );
        if (prompts.LogitScale is double scale && !(scale > 0 && double.IsFinite(scale)))
            throw new ArgumentException(
                $"{nameof(ExportedPrompts.LogitScale)} must be above 0 and finite; it is {scale.ToString(CultureInfo.InvariantCulture)}.",
                nameof(prompts)
            );
        OptionChecks.RequireRange(
            prompts.MaxImagePixels >= 1 && prompts.MaxImagePixels <= ImageDecoder.LargestMaximumPixels,
            prompts.MaxImagePixels,
            $"from 1 to {ImageDecoder.LargestMaximumPixels}",
            nameof(ExportedPrompts.MaxImagePixels)
        );
        OptionChecks.RequireRange(
            prompts.Threshold is null or (> 0 and <= 1),
            prompts.Threshold,
            "above 0 and at most 1",
            nameof(ExportedPrompts.Threshold)
        );
        prompts.RequireMixtureFits();
        ModelColumns columns = columnsOf(ClassesOf(prompts));
        ContextLayout? context = ContextOf(prompts, columns.Classes.Count, backbone.Config);
        if (prompts.Templates is { } templates)
            ClipTemplates.Require(templates, nameof(ExportedPrompts.Templates));
        IReadOnlyList<float[,]?> text = Fitted(prompts.Text, "text", backbone.Config.Text, prompts.LayersAreCounted),
            image = Fitted(prompts.Image, "image", backbone.Config.Image, prompts.LayersAreCounted);

        using var log = new HostLog(environment, nameof(DplTransformer), "Import");
        EnvironmentOptions options = MLNetInternals.OptionsOf(environment);
        Device chosen = ComputeDevice.Choose(
            device,
            options.GpuDeviceId,
            string.IsNullOrWhiteSpace(device) && options.FallbackToCpu,
            log.Info,
            log.Warning
        );
        using var scope = NewDisposeScope();
        using var ordinary = inference_mode(false);
        Tensor? residual = prompts.PlacedResidual();
        RequireFits(prompts, residual, columns.Classes.Count, backbone.Config);
        // Truncated names cause only a warning, as in a fit.
        TrainedPrompts trained = new TextBranch(backbone, chosen).Encode(
            new PromptRows(
                [.. text.Select(ToTensor)],
                [.. image.Select(ToTensor)],
                prompts.Mixture,
                context is null ? null : new ContextRows(context, ToTensor(prompts.Context)!),
                residual
            ),
            columns.Classes,
            new TextTemplates(prompts.Template, prompts.Templates),
            prompts.LogitScale,
            log.Warning
        );
        try
        {
            StoredDescription description = StoredDescription
                .From(BackboneReference.To(backbone), prompts.Template, trained.Rows)
                .With(new ImageReading(imageFolder, prompts.MaxImagePixels, prompts.ApplyExifOrientation)) with
            {
                Context = context is null ? null : prompts.ContextDesign,
                Templates = trained.Rows.HasPlainText ? prompts.Templates : null,
                Threshold = prompts.Threshold,
            };
            return new DplTransformer(columns, description, trained, backbone, chosen);
        }
        catch
        {
            trained.Dispose();
            throw;
        }

        static Tensor? ToTensor(float[,]? rows) => rows is null ? null : NativeTensor.From(rows);
    }

    /// <summary>The layout of the context in the texts; null if the prompts have none.</summary>
    private static ContextLayout? ContextOf(ExportedPrompts prompts, int classes, ClipConfig config)
    {
        if (prompts.Context is null && prompts.ContextDesign is null)
            return null;
        if (prompts.Context is not { } vectors || prompts.ContextDesign is not { Length: int length } design)
            throw new ArgumentException(
                $"A context needs both its vectors ({nameof(ExportedPrompts.Context)}) and their place in a text "
                    + $"({nameof(ExportedPrompts.ContextDesign)}, with a length): set both or neither.",
                nameof(prompts)
            );
        OptionChecks.RequireContext(design, config, nameof(ExportedPrompts.ContextDesign));
        var layout = new ContextLayout(length, design.Position, design.ClassSpecific);
        int count = layout.VectorCount(classes);
        if (vectors.GetLength(0) != count || vectors.GetLength(1) != config.Text.Width)
            throw new ArgumentException(
                $"The context is [{vectors.GetLength(0)}, {vectors.GetLength(1)}], but its design, {classes} classes and this CLIP ask for "
                    + $"[{count}, {config.Text.Width}].",
                nameof(prompts)
            );
        foreach (float value in vectors)
            if (!float.IsFinite(value))
                throw new ArgumentException($"The context holds {value}; every number must be finite.", nameof(prompts));
        return layout;
    }

    private static void RequireFits(ExportedPrompts prompts, Tensor? residual, int classes, ClipConfig config)
    {
        if (residual is not null && !residual.shape.SequenceEqual([classes, config.EmbeddingWidth]))
            throw new ArgumentException(
                $"The task residual is [{string.Join(", ", residual.shape)}], but {classes} classes and this CLIP ask for "
                    + $"[{classes}, {config.EmbeddingWidth}].",
                nameof(prompts)
            );
        if (residual is not null && !residual.isfinite().all().item<bool>())
            throw new ArgumentException("The task residual holds a value that is not finite; every number must be.", nameof(prompts));
    }

    private static LabelClasses ClassesOf(ExportedPrompts prompts)
    {
        if (prompts.ClassNames is not { Count: >= 2 } names)
            throw new ArgumentException(
                $"The prompts name {prompts.ClassNames?.Count ?? 0} classes; set {nameof(ExportedPrompts.ClassNames)} to at least two.",
                nameof(prompts)
            );
        var (kind, type) = prompts.Label ?? (LabelKind.Text, TextDataViewType.Instance);
        string[] composed = [.. names.Select(name => name is null ? "" : ComposedText.Compose(name))];
        try
        {
            return new LabelClasses(
                kind,
                composed,
                KeyValueAnnotation.Fit(composed, type) ? type : TextDataViewType.Instance,
                "The list of classes"
            );
        }
        catch (InvalidOperationException e)
        {
            throw new ArgumentException(e.Message, nameof(prompts), e);
        }
    }

    /// <summary>Checks a branch's layers and appends layers without a prompt if the number of layers was inferred from a file.</summary>
    private static List<float[,]?> Fitted(IReadOnlyList<float[,]?> layers, string branch, ClipTransformerConfig config, bool mayBeFewer)
    {
        if (layers.Count > config.Layers || (layers.Count < config.Layers && !mayBeFewer))
            throw new ArgumentException(
                $"The prompts are for {layers.Count} {branch} layers, but this CLIP has {config.Layers}.",
                nameof(layers)
            );
        for (int layer = 0; layer < layers.Count; layer++)
        {
            if (layers[layer] is not { } rows)
                continue;
            if (rows.GetLength(1) != config.Width)
                throw new ArgumentException(
                    $"The prompt of {branch} layer {layer} is {rows.GetLength(1)} wide, but this CLIP's {branch} tower is {config.Width}.",
                    nameof(layers)
                );
            if (rows.GetLength(0) is 0 or > PromptConfiguration.MaximumLength)
                throw new ArgumentException(
                    $"The prompt of {branch} layer {layer} has {rows.GetLength(0)} rows; it can have 1 to "
                        + $"{PromptConfiguration.MaximumLength}, or be null for none.",
                    nameof(layers)
                );
            foreach (float value in rows)
                if (!float.IsFinite(value))
                    throw new ArgumentException(
                        $"The prompt of {branch} layer {layer} holds {value}; every number must be finite.",
                        nameof(layers)
                    );
        }
        return [.. layers, .. Enumerable.Repeat<float[,]?>(null, config.Layers - layers.Count)];
    }

    private static float[,]? Rows(Tensor? values)
    {
        if (values is null)
            return null;
        var rows = new float[values.shape[0], values.shape[1]];
        Buffer.BlockCopy(values.data<float>().ToArray(), 0, rows, 0, rows.Length * sizeof(float));
        return rows;
    }
}
