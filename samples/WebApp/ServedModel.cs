using System.Reflection;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;

namespace WebApp;

/// <summary>A saved model, loaded once and used by all requests; its transformer is thread-safe.</summary>
internal sealed class ServedModel : IDisposable
{
    private readonly MLContext _mlContext;
    private readonly IDisposable _owner;
    private readonly ITransformer _transformer;
    private readonly DplTransformer? _explaining; // null with ONNX Runtime
    private readonly string _scoreColumn;
    private readonly SchemaDefinition _rows;

    private ServedModel(MLContext mlContext, ITransformer model, ITransformer transformer, string name)
    {
        (_mlContext, _owner, _transformer, Name) = (mlContext, (IDisposable)model, transformer, name);
        _explaining = transformer as DplTransformer;
        (ImageColumn, _scoreColumn, ClassNames, ApplyExifOrientation) = transformer is DplOnnxTransformer light
            ? (light.ImageColumnName, light.ScoreColumnName, light.ClassNames, light.ApplyExifOrientation)
            : (_explaining!.ImageColumnName, _explaining.ScoreColumnName, _explaining.ClassNames, _explaining.ApplyExifOrientation);
        _rows = SchemaDefinition.Create(typeof(Row));
        _rows[nameof(Row.Image)].ColumnName = ImageColumn;
    }

    /// <summary>The display name.</summary>
    public string Name { get; }

    /// <summary>The classes in the order of the scores.</summary>
    public IReadOnlyList<string> ClassNames { get; }

    /// <summary>Whether the model rotates and mirrors images according to their EXIF orientation.</summary>
    public bool ApplyExifOrientation { get; }

    /// <summary>Whether <see cref="Explain"/> works: heat maps need libtorch.</summary>
    public bool Explains => _explaining is not null;

    private string ImageColumn { get; }

    /// <param name="zip">A model with a <see cref="DplTransformer"/>, or without libtorch a <see cref="DplOnnxTransformer"/>, that reads
    /// images as paths or bytes, such as the models of samples/QuickStart and samples/ModelBuilder.</param>
    /// <param name="clip">The CLIP that the model was trained on; null: the model finds it.</param>
    /// <param name="name">The display name; null: the file's name.</param>
    /// <exception cref="InvalidDataException">The file is missing or is not such a model; the message says why.</exception>
    public static ServedModel Load(string zip, string? clip, string? name = null)
    {
        if (!File.Exists(zip))
            throw new InvalidDataException(
                $"There is no model '{Path.GetFullPath(zip)}'. Train one, for example with samples/ModelBuilder, or leave --model out "
                    + "to see a small one."
            );
        var mlContext = new MLContext();
        ITransformer? model = null;
        try
        {
            if (clip is not null)
                ClipBackbone.Open(clip).Register();
            model = mlContext.Model.Load(zip, out DataViewSchema input);
            return Inspect(mlContext, model, input, name ?? Path.GetFileName(zip));
        }
        catch (Exception e)
        {
            (model as IDisposable)?.Dispose();
            if (e is InvalidDataException)
                throw;
            throw new InvalidDataException($"'{zip}' cannot be served: {Cause(e).Message}", e);
        }
    }

    /// <summary>Computes the probabilities of the classes, image by image. The encoded bytes are passed to the model unchanged, so the
    /// results equal those of a prediction engine.</summary>
    /// <param name="images">Encoded image files.</param>
    /// <exception cref="InvalidOperationException">One of the images cannot be decoded.</exception>
    public float[][] Score(IReadOnlyList<byte[]> images)
    {
        IDataView rows = _mlContext.Data.LoadFromEnumerable(images.Select(image => new Row { Image = image }), _rows);
        return [.. _transformer.Transform(rows).GetColumn<float[]>(_scoreColumn)];
    }

    /// <summary>Computes which parts of an image are evidence for a class.</summary>
    /// <param name="image">An encoded image file.</param>
    /// <param name="className">One of <see cref="ClassNames"/>; null: the most probable.</param>
    /// <exception cref="InvalidOperationException">The image cannot be decoded, or there is no libtorch.</exception>
    public HeatMap Explain(byte[] image, string? className)
    {
        if (_explaining is null)
            throw new InvalidOperationException("Heat maps need libtorch.");
        using MLImage shown = ShownImage.Decode(image, ApplyExifOrientation);
        ClassExplanation explanation = _explaining.Explain(shown, className);
        using MLImage drawn = explanation.Draw(shown);
        return new HeatMap(
            explanation.ClassName,
            explanation.Rows,
            explanation.Columns,
            explanation.Relevance,
            ShownImage.ToAddress(drawn)
        );
    }

    public void Dispose() => _owner.Dispose();

    private static ServedModel Inspect(MLContext mlContext, ITransformer model, DataViewSchema input, string name)
    {
        ITransformer transformer = Steps(model).FirstOrDefault(step => step is DplTransformer or DplOnnxTransformer)
            ?? throw new InvalidDataException($"'{name}' holds no classifier trained by DifferentiablePromptLearning.");
        var served = new ServedModel(mlContext, model, transformer, name);
        return input.GetColumnOrNull(served.ImageColumn) is not null
            ? served
            : throw new InvalidDataException(
                $"'{name}' makes its images' column '{served.ImageColumn}' from others. Serve a model whose images come as paths or "
                    + "bytes, as samples/ModelBuilder does."
            );
    }

    // A chain that was appended to another chain is a single step of it.
    private static IEnumerable<ITransformer> Steps(ITransformer model) =>
        model is IEnumerable<ITransformer> chain ? chain.SelectMany(Steps) : [model];

    // ML.NET wraps exceptions that occur while a model is loaded.
    private static Exception Cause(Exception e) => e is TargetInvocationException { InnerException: { } inner } ? Cause(inner) : e;

    private sealed class Row
    {
        public byte[] Image { get; set; } = [];
    }
}
