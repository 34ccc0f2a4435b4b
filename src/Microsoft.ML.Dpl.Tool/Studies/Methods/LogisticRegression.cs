using Microsoft.ML.Data;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>An image's features and its class, as ML.NET reads them.</summary>
internal sealed class LabelledVector
{
    public float[] Features { get; set; } = [];

    // Zero-based class index; the data view turns it into a key, which is one-based in ML.NET.
    public uint Label { get; set; }
}

/// <summary>ML.NET's <c>LbfgsMaximumEntropy</c>, trained on feature vectors.</summary>
internal sealed class LogisticRegression
{
    private const string ScoreColumn = "Score"; // ML.NET's own name

    private readonly MLContext _context;
    private readonly ITransformer _model;
    private readonly SchemaDefinition _schema;

    private LogisticRegression(MLContext context, ITransformer model, SchemaDefinition schema) =>
        (_context, _model, _schema) = (context, model, schema);

    /// <param name="vectors">Features [image][width].</param>
    /// <param name="places">Zero-based class index of each image.</param>
    public static IReadOnlyList<LabelledVector> Rows(IEnumerable<float[]> vectors, IEnumerable<int> places) =>
        [.. vectors.Zip(places, (vector, place) => new LabelledVector { Features = vector, Label = (uint)place })];

    /// <summary>Trains on a single thread, since several threads would sum in varying order.</summary>
    /// <param name="context">The trainer's context.</param>
    /// <param name="rows">Training rows of the same width, at least one.</param>
    /// <param name="classes">Number of classes.</param>
    /// <param name="configure">Changes options from ML.NET's defaults; null: none.</param>
    public static LogisticRegression Train(
        MLContext context,
        IReadOnlyList<LabelledVector> rows,
        int classes,
        Action<LbfgsMaximumEntropyMulticlassTrainer.Options>? configure = null
    )
    {
        SchemaDefinition schema = SchemaDefinition.Create(typeof(LabelledVector));
        schema[nameof(LabelledVector.Features)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, rows[0].Features.Length);
        schema[nameof(LabelledVector.Label)].ColumnType = new KeyDataViewType(typeof(uint), classes);
        var options = new LbfgsMaximumEntropyMulticlassTrainer.Options
        {
            LabelColumnName = nameof(LabelledVector.Label),
            FeatureColumnName = nameof(LabelledVector.Features),
            NumberOfThreads = 1,
        };
        configure?.Invoke(options);
        IDataView view = context.Data.Cache(context.Data.LoadFromEnumerable(rows, schema));
        return new LogisticRegression(context, context.MulticlassClassification.Trainers.LbfgsMaximumEntropy(options).Fit(view), schema);
    }

    /// <param name="vectors">Features [image][width].</param>
    /// <returns>Probabilities [image][class].</returns>
    public float[][] Score(float[][] vectors) =>
        [
            .. _model
                .Transform(_context.Data.LoadFromEnumerable(vectors.Select(vector => new LabelledVector { Features = vector }), _schema))
                .GetColumn<float[]>(ScoreColumn),
        ];
}
