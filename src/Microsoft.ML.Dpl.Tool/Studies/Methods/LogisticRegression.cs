using Microsoft.ML.Data;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>An image's vector and its class, as ML.NET reads them.</summary>
internal sealed class LabelledVector
{
    public float[] Features { get; set; } = [];

    // Counted from 0 here; the data view makes keys of it, which count from 1.
    public uint Label { get; set; }
}

/// <summary>ML.NET's <c>LbfgsMaximumEntropy</c>, trained on vectors.</summary>
internal sealed class LogisticRegression
{
    private const string ScoreColumn = "Score"; // ML.NET's own name

    private readonly MLContext _context;
    private readonly ITransformer _model;
    private readonly SchemaDefinition _schema;

    private LogisticRegression(MLContext context, ITransformer model, SchemaDefinition schema) =>
        (_context, _model, _schema) = (context, model, schema);

    /// <param name="vectors">[image][width].</param>
    /// <param name="places">Each image's class, from 0.</param>
    public static IReadOnlyList<LabelledVector> Rows(IEnumerable<float[]> vectors, IEnumerable<int> places) =>
        [.. vectors.Zip(places, (vector, place) => new LabelledVector { Features = vector, Label = (uint)place })];

    /// <summary>Trains on one thread, since several add in another order.</summary>
    /// <param name="context">Of the trainer.</param>
    /// <param name="rows">At least one, of one width.</param>
    /// <param name="classes">How many there are.</param>
    /// <param name="configure">What differs from ML.NET's defaults.</param>
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

    /// <param name="vectors">[image][width].</param>
    /// <returns>[image][class] probabilities.</returns>
    public float[][] Score(float[][] vectors) =>
        [
            .. _model
                .Transform(_context.Data.LoadFromEnumerable(vectors.Select(vector => new LabelledVector { Features = vector }), _schema))
                .GetColumn<float[]>(ScoreColumn),
        ];
}
