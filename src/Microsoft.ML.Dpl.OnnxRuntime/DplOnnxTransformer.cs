using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.OnnxRuntime;

namespace Microsoft.ML.Dpl;

/// <summary>Classifies images with a prompted CLIP, using ONNX Runtime. A model zip that contains CLIP's image tower
/// (<see cref="ModelContents.WithImageTower"/>, <see cref="ModelContents.WithClip"/>) or an ONNX graph
/// (<see cref="ModelContents.WithOnnx"/>) is loaded as this type if the application has no libtorch.</summary>
/// <remarks>
/// <para>Columns, annotations, supported types of image columns and messages are those of the <see cref="DplTransformer"/>; scores differ
/// by less than 1e-5. Operations on CLIP itself (other classes, explanations, words of prompts, ONNX export) require libtorch.</para>
/// <para>Thread-safe. Saving with <c>mlContext.Model.Save</c> reproduces the zip that it was loaded from.</para>
/// </remarks>
public sealed class DplOnnxTransformer : ITransformer, IDisposable
{
    private readonly ModelColumns _columns;
    private readonly StoredDescription _description;
    private readonly string _json;
    private readonly OnnxScorer _scorer;
    private readonly KeptEntries _kept;
    private readonly ScoreSchema _scores;
    private readonly ModelShares _shares = new();

    /// <summary>Takes ownership of scorer and entries.</summary>
    internal DplOnnxTransformer(ModelColumns columns, StoredDescription description, string json, OnnxScorer scorer, KeptEntries kept)
    {
        (_columns, _description, _json, _scorer, _kept) = (columns, description, json, scorer, kept);
        _scores = new ScoreSchema(columns.Classes, columns.PredictedLabelColumnName, columns.ScoreColumnName, description.Threshold);
        Configuration = description.Configuration;
    }

    /// <summary>The classes in the order of the scores.</summary>
    public IReadOnlyList<string> ClassNames => _columns.Classes.Names;

    /// <summary>Name of the column that images are read from.</summary>
    public string ImageColumnName => _columns.ImageColumnName;

    /// <summary>Name of the column with the most probable class.</summary>
    public string PredictedLabelColumnName => _columns.PredictedLabelColumnName;

    /// <summary>Name of the column with the classes' probabilities.</summary>
    public string ScoreColumnName => _columns.ScoreColumnName;

    /// <summary>The text of a class; <c>{}</c> stands for its name.</summary>
    public string Template => _description.Template;

    /// <summary>The minimum probability for a class to be predicted; null for no minimum. See
    /// <see cref="DplTransformer.Threshold"/>.</summary>
    public double? Threshold => _description.Threshold;

    /// <summary>Prompt lengths per layer; for a mixture, that of the candidate with the largest weight.</summary>
    public PromptConfiguration Configuration { get; }

    /// <summary>The name of the CLIP that the model was trained with.</summary>
    public string BackboneName => _description.Backbone.Name;

    /// <summary>Side of the image tower's square input in pixels.</summary>
    public int ImageSize => _scorer.Preprocessing.CropSize;

    /// <summary>Whether images are rotated and mirrored according to their EXIF orientation; see
    /// <see cref="DplTrainer.ImageOptions.ApplyExifOrientation"/>.</summary>
    public bool ApplyExifOrientation => _description.ApplyExifOrientation;

    /// <summary>The most pixels an image file may have; see <see cref="DplTrainer.ImageOptions.MaxPixels"/>.</summary>
    public long MaxImagePixels => _description.Reading.MaximumPixels;

    bool ITransformer.IsRowToRowMapper => true;

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        FindImages(inputSchema);
        return _scores.AppendTo(inputSchema);
    }

    /// <summary>Adds predicted label and score. Images are read and scored lazily, in batches, when one of the two columns is
    /// read.</summary>
    public IDataView Transform(IDataView input) => Transform(input, CancellationToken.None);

    /// <summary>Like <see cref="Transform(IDataView)"/>, with cancellation of cursors over the result, for example in an
    /// evaluation.</summary>
    /// <param name="input">Data with the image column.</param>
    /// <param name="cancellationToken">Cancels scoring before the next image: reading a row whose scores have not been computed yet throws
    /// <see cref="OperationCanceledException"/>.</param>
    public IDataView Transform(IDataView input, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new BatchedScoringDataView(input, FindImages(input.Schema).ScoredBy(_scorer), _scores, cancellationToken);
    }

    /// <summary>Classifies one image file without a data view, like <see cref="DplTransformer.Predict(string)"/>.</summary>
    /// <param name="path">A PNG, JPEG, GIF, BMP or WebP file; a relative path is resolved against the model's image folder.</param>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is not an image that can be decoded, or it has too many pixels.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the file is denied.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public ImagePrediction Predict(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        return Predict(_description.Reading.FromFile(_description.Reading.PathOf(path)));
    }

    /// <summary>Classifies one image, like <see cref="Predict(string)"/>. Thread-safe.</summary>
    /// <param name="image">A Bgra32 or Rgba32 image of any size; still owned by the caller.</param>
    /// <exception cref="InvalidDataException">The image has a different pixel format.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public ImagePrediction Predict(MLImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        return Predict(ImageDecoder.FromMLImage(image));
    }

    private ImagePrediction Predict(RgbImage image) => ImagePrediction.Create(_scores, _scorer, image);

    IRowToRowMapper ITransformer.GetRowToRowMapper(DataViewSchema inputSchema) =>
        new ScoringRowMapper(inputSchema, FindImages(inputSchema).ScoredBy(_scorer), _scores, _shares.Take);

    void ICanSaveModel.Save(ModelSaveContext ctx) =>
        _scorer.Use(() =>
        {
            ModelZipFormat.Write(
                ctx,
                MLNetInternals.LoaderSignature,
                typeof(DplTransformer).Assembly,
                _columns,
                _json,
                _description.Required,
                _kept.Streams
            );
            return true;
        });

    /// <summary>Releases one reference to the model, like <see cref="DplTransformer.Dispose"/>: the code that loaded the model has one, and
    /// so has each <c>PredictionEngine</c> created from it. Releasing the last one waits for running predictions; later ones throw
    /// <see cref="ObjectDisposedException"/>. May be called on any thread and more than once.</summary>
    public void Dispose()
    {
        if (!_shares.GiveBack())
            return;
        _scorer.Dispose();
        _kept.Dispose();
    }

    private ImageColumn FindImages(DataViewSchema schema) => ImageColumn.Find(schema, _columns.ImageColumnName, _description.Reading);
}
