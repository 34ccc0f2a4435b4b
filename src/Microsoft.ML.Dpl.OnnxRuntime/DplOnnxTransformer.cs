using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.OnnxRuntime;

namespace Microsoft.ML.Dpl;

/// <summary>Classifies images with a prompted CLIP, by ONNX Runtime: what a model zip that has CLIP's image tower
/// (<see cref="ModelContents.WithImageTower"/>, <see cref="ModelContents.WithClip"/>) or a graph
/// (<see cref="ModelContents.WithOnnx"/>) becomes where the application has no libtorch.</summary>
/// <remarks>
/// <para>Columns, annotations, kinds of image columns and messages are those of the <see cref="DplTransformer"/>; scores differ by less
/// than 1e-5. What needs CLIP itself (other classes, explanations, words of prompts, ONNX files) needs libtorch.</para>
/// <para>Thread-safe. Saved with <c>mlContext.Model.Save</c>, it is the zip that it was loaded from.</para>
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

    /// <summary>Takes over scorer and entries.</summary>
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

    /// <summary>Name of the column with the best class.</summary>
    public string PredictedLabelColumnName => _columns.PredictedLabelColumnName;

    /// <summary>Name of the column with the classes' probabilities.</summary>
    public string ScoreColumnName => _columns.ScoreColumnName;

    /// <summary>The text of a class; <c>{}</c> stands for its name.</summary>
    public string Template => _description.Template;

    /// <summary>The least probability of a class that is predicted; null: any. See <see cref="DplTransformer.Threshold"/>.</summary>
    public double? Threshold => _description.Threshold;

    /// <summary>Prompt lengths per layer; of a mixture, that of the largest weight.</summary>
    public PromptConfiguration Configuration { get; }

    /// <summary>The CLIP's name where the model was trained.</summary>
    public string BackboneName => _description.Backbone.Name;

    /// <summary>Pixels a side of the images that the image tower takes.</summary>
    public int ImageSize => _scorer.Preprocessing.CropSize;

    /// <summary>Whether images are turned and mirrored as their files ask; see
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

    /// <summary>Adds predicted label and score. Images are read and scored in batches when one of the two columns is first asked
    /// for.</summary>
    public IDataView Transform(IDataView input) => Transform(input, CancellationToken.None);

    /// <summary>As <see cref="Transform(IDataView)"/>, with a way to end what reads the result, such as an evaluation.</summary>
    /// <param name="input">With the image column.</param>
    /// <param name="cancellationToken">Ends the scoring before the next image: whoever reads a row without scores yet gets an
    /// <see cref="OperationCanceledException"/>.</param>
    public IDataView Transform(IDataView input, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new BatchedScoringDataView(input, FindImages(input.Schema).ScoredBy(_scorer), _scores, cancellationToken);
    }

    /// <summary>Classifies one image file, without a data view; as <see cref="DplTransformer.Predict(string)"/>.</summary>
    /// <param name="path">A PNG, JPEG, GIF, BMP or WebP file; a relative path starts at the model's image folder.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is no image that can be decoded, or one of too many pixels.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public ImagePrediction Predict(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        return Predict(_description.Reading.FromFile(_description.Reading.PathOf(path)));
    }

    /// <summary>Classifies one image; as <see cref="Predict(string)"/>. Any number of threads may call it at once.</summary>
    /// <param name="image">Bgra32 or Rgba32, of any size; stays the caller's.</param>
    /// <exception cref="InvalidDataException">The image has another pixel format.</exception>
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

    /// <summary>Gives back one share of the model, as <see cref="DplTransformer.Dispose"/> does: whoever loaded the model has one, and so
    /// has each <c>PredictionEngine</c> made of it. With the last one predictions under way end first; later ones throw
    /// <see cref="ObjectDisposedException"/>. Any thread may call it, and more than once.</summary>
    public void Dispose()
    {
        if (!_shares.GiveBack())
            return;
        _scorer.Dispose();
        _kept.Dispose();
    }

    private ImageColumn FindImages(DataViewSchema schema) => ImageColumn.Find(schema, _columns.ImageColumnName, _description.Reading);
}
