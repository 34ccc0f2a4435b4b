using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl;

/// <summary>Image classification with plain CLIP. Nothing is learned: <see cref="Fit"/> only checks the columns and returns a
/// <see cref="DplTransformer"/> without prompts.</summary>
/// <remarks>
/// <para>To create it, use <see cref="ClipCatalog.ClipZeroShot(MulticlassClassificationCatalog, ClipBackbone, IEnumerable{string},
/// ClipZeroShotOptions)"/>.</para>
/// <para><c>Evaluate</c> compares key values by number, so the label's key must have the classes in the same order: pass a data view of the
/// names to <c>MapValueToKey</c> (<c>keyData</c>).</para>
/// </remarks>
public sealed class ClipZeroShotEstimator : IEstimator<DplTransformer>
{
    private readonly IHostEnvironment _environment;
    private readonly ClipBackbone _backbone;
    private readonly LabelClasses _classes;
    private readonly ClipZeroShotOptions _options;

    internal ClipZeroShotEstimator(IHostEnvironment environment, ClipBackbone backbone, string[] classNames, ClipZeroShotOptions options)
    {
        if (!backbone.HasTextTower)
            throw new ArgumentException(
                $"The CLIP '{backbone.Name}' came in a model zip that carries its image tower only, but class names need the text "
                    + "tower: open CLIP's folder.",
                nameof(backbone)
            );
        options.Validate();
        if (classNames.Length < 2)
            throw new ArgumentException(
                $"{classNames.Length} class names are too few to choose from; give at least two.",
                nameof(classNames)
            );
        try
        {
            _classes = new LabelClasses(
                LabelKind.Key,
                [.. classNames.Select(name => name is null ? "" : ComposedText.Compose(name))],
                TextDataViewType.Instance,
                "The list of classes"
            );
        }
        catch (InvalidOperationException e)
        {
            throw new ArgumentException(e.Message, nameof(classNames), e);
        }
        (_environment, _backbone, _options) = (environment, backbone, options);
    }

    /// <summary>Checks the columns and computes the text features of the classes; no row is read.</summary>
    /// <param name="input">Data with the image column.</param>
    /// <returns>The classifier. The caller disposes it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The image column is missing or of an unsuitable type.</exception>
    /// <exception cref="ArgumentException">A name is empty after CLIP's text cleaning, or two names give the same tokens.</exception>
    /// <exception cref="InvalidOperationException">CLIP's text tower cannot be read.</exception>
    public DplTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        GetOutputSchema(MLNetInternals.ShapeOf(input.Schema));
        ClipConfig config = _backbone.Config;
        var none = new ExportedPrompts
        {
            Text = new float[,]?[config.Text.Layers],
            Image = new float[,]?[config.Image.Layers],
            ClassNames = _classes.Names,
            Templates = _options.Templates,
            ApplyExifOrientation = _options.ApplyExifOrientation,
            MaxImagePixels = _options.MaxPixels,
            Label = (_classes.Kind, _classes.ValueType),
        };
        DplTransformer transformer = DplTransformer.FromPrompts(
            _environment,
            _options.Templates is [var only] ? none with { Template = only, Templates = null } : none,
            _backbone,
            classes => new ModelColumns(
                _options.ImageColumnName,
                _options.PredictedLabelColumnName,
                _options.ScoreColumnName,
                _options.BatchSize,
                classes
            ),
            _options.Device,
            _options.ImageFolder
        );
        transformer.Contents = _options.ModelContents;
        return transformer;
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        ImageColumn.Check(inputSchema, _options.ImageColumnName);
        return ScoreSchema.Promise(
            inputSchema,
            _classes.Kind,
            _classes.ValueType,
            _options.PredictedLabelColumnName,
            _options.ScoreColumnName
        );
    }
}
