using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Models;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>CLIP's embeddings, normalised to length 1, for methods that learn on them and leave the towers frozen. All images, including
/// training images, are resized and cropped as for prediction.</summary>
internal sealed class ClipFeatures : IImageFeatures
{
    private const int Chunk = 32;
    private const string Vector = "Vector";

    private readonly MLContext _context;
    private readonly MethodTask _task;
    private readonly ClipEmbeddingTransformer _images;

    /// <param name="task">The task, with the CLIP and the device to use.</param>
    /// <param name="context">Receives the library's warnings.</param>
    public ClipFeatures(MethodTask task, MLContext context)
    {
        (_task, _context) = (task, context);
        _images = context
            .Transforms.ClipImageEmbedding(
                Vector,
                nameof(ImageRow.ImagePath),
                task.Backbone,
                new ClipImageEmbeddingOptions { BatchSize = Chunk, Device = task.Device }
            )
            .Fit(context.Data.LoadFromEnumerable(Array.Empty<ImageRow>()));
    }

    /// <param name="backbone">The CLIP, of which a method needs both towers.</param>
    /// <param name="method">Name of the method, for the message.</param>
    /// <exception cref="ArgumentException">The CLIP has no text tower.</exception>
    public static void RequireTexts(ClipBackbone backbone, string method)
    {
        if (!backbone.HasTextTower)
            throw new ArgumentException($"{method} needs CLIP's text tower, which '{backbone.Name}' lacks: give a CLIP with both.");
    }

    /// <returns>Embeddings [image][embedding width].</returns>
    /// <exception cref="InvalidDataException">An image cannot be read; the message names the file.</exception>
    public float[][] Images(IReadOnlyList<ImageRow> rows, CancellationToken cancellationToken) =>
        [
            .. new ImageScores(_context, _images.Transform, nameof(ImageRow.ImagePath), Vector)
                .Score(rows, Chunk, cancellationToken)
                .Select(image => image.Numbers ?? throw new InvalidDataException($"{image.Row.ImagePath}: {image.Error}")),
        ];

    /// <summary>Computes the text embeddings of the task's classes; for several templates the mean of their embeddings, normalised to
    /// length 1.</summary>
    /// <param name="templates">Templates, each with exactly one {}.</param>
    /// <returns>Embeddings [class][embedding width].</returns>
    public float[][] Classes(IReadOnlyList<string> templates)
    {
        using ClipEmbeddingTransformer texts = _context
            .Transforms.ClipTextEmbedding(
                Vector,
                nameof(ClassText.Text),
                _task.Backbone,
                new ClipTextEmbeddingOptions { Device = _task.Device }
            )
            .Fit(_context.Data.LoadFromEnumerable(Array.Empty<ClassText>()));
        // As everywhere in this library, an underscore in a class's name is a space to CLIP.
        IEnumerable<ClassText> rows = _task.Classes.SelectMany(name =>
            templates.Select(template => new ClassText { Text = template.Replace("{}", name.Replace('_', ' '), StringComparison.Ordinal) })
        );
        float[][] vectors = [.. texts.Transform(_context.Data.LoadFromEnumerable(rows)).GetColumn<float[]>(Vector)];
        return [.. vectors.Chunk(templates.Count).Select(MeanDirection)];
    }

    /// <summary>Returns CLIP's logit scale, the learned factor on cosine similarities.</summary>
    public double LogitScale()
    {
        // Any two class names will do, since the scale does not depend on them.
        using DplTransformer zeroShot = _context
            .MulticlassClassification.ClipZeroShot(
                _task.Backbone,
                ["one", "two"],
                new ClipZeroShotOptions { ImageColumnName = nameof(ImageRow.ImagePath), Device = _task.Device }
            )
            .Fit(_context.Data.LoadFromEnumerable(Array.Empty<ImageRow>()));
        return zeroShot.ExportPrompts().LogitScale
            ?? throw new InvalidOperationException($"The CLIP '{_task.Backbone.Name}' does not give a factor for its similarities.");
    }

    public void Dispose() => _images.Dispose();

    /// <summary>Returns the mean of vectors, normalised to length 1; a single vector is returned as it is.</summary>
    /// <param name="vectors">Vectors of the same width, at least one.</param>
    public static float[] MeanDirection(IReadOnlyList<float[]> vectors)
    {
        if (vectors.Count == 1)
            return vectors[0];
        var sum = new double[vectors[0].Length];
        foreach (float[] vector in vectors)
            for (int i = 0; i < sum.Length; i++)
                sum[i] += vector[i];
        double length = Math.Sqrt(sum.Sum(x => x * x));
        return [.. sum.Select(x => (float)(length > 0 ? x / length : 0))];
    }

    private sealed class ClassText
    {
        public string Text { get; set; } = "";
    }
}
