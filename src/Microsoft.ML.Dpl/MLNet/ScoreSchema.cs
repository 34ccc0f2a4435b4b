using Microsoft.ML.Data;
using VectorKind = Microsoft.ML.SchemaShape.Column.VectorKind;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>The two columns that scoring adds, with the annotations that ML.NET's evaluators and mappers look for, both for an estimator's
/// schema shape and for a transformer's schema.</summary>
internal sealed class ScoreSchema : IAddedColumns
{
    private const string SlotNames = "SlotNames",
        TrainingLabelValues = "TrainingLabelValues";
    private const string ColumnKind = "ScoreColumnKind",
        ValueKind = "ScoreValueKind",
        ColumnSetId = "ScoreColumnSetId";

    private static readonly KeyDataViewType SetIdType = new(typeof(uint), int.MaxValue);

    /// <param name="classes">The classes in the order of the scores.</param>
    /// <param name="predictedLabelColumnName">Name of the predicted label column.</param>
    /// <param name="scoreColumnName">Name of the score column.</param>
    /// <param name="threshold">The minimum score for a class to be predicted, 0 to 1; null for no minimum.</param>
    /// <exception cref="ArgumentException">A column name is empty, or both are the same.</exception>
    public ScoreSchema(LabelClasses classes, string predictedLabelColumnName, string scoreColumnName, double? threshold = null)
    {
        CheckNames(predictedLabelColumnName, scoreColumnName);
        (Classes, PredictedLabelColumnName, ScoreColumnName) = (classes, predictedLabelColumnName, scoreColumnName);
        Threshold = threshold;
    }

    /// <summary>The minimum score for a class to be predicted; null for no minimum.</summary>
    public double? Threshold { get; }

    /// <summary>The index of the highest score, the first one in a tie; -1 if it is below the <see cref="Threshold"/>, or if any score is
    /// NaN.</summary>
    public int Best(ReadOnlySpan<float> scores)
    {
        int best = ScoreGetters.Best(scores);
        return best >= 0 && scores[best] < Threshold ? -1 : best;
    }

    public LabelClasses Classes { get; }

    public string PredictedLabelColumnName { get; }

    public string ScoreColumnName { get; }

    /// <summary>The estimator's output schema shape, before the classes are known: <paramref name="input"/> with both columns, replacing
    /// those of the same name.</summary>
    /// <param name="input">The input's shape.</param>
    /// <param name="labelColumnName">Decides whether the predicted label is a key or text.</param>
    /// <param name="predictedLabelColumnName">Name of the predicted label column.</param>
    /// <param name="scoreColumnName">Name of the score column.</param>
    /// <exception cref="ArgumentOutOfRangeException">The label column is missing or of the wrong type.</exception>
    public static SchemaShape Promise(SchemaShape input, string labelColumnName, string predictedLabelColumnName, string scoreColumnName)
    {
        (LabelKind kind, PrimitiveDataViewType valueType) = LabelColumn.Check(input, labelColumnName);
        return Promise(input, kind, valueType, predictedLabelColumnName, scoreColumnName);
    }

    /// <summary>The estimator's output schema shape if the kind of the classes is known without a label column.</summary>
    /// <param name="input">The input's shape.</param>
    /// <param name="kind">Whether the predicted label is a key or text.</param>
    /// <param name="valueType">The type of the key's values; text for text labels.</param>
    /// <param name="predictedLabelColumnName">Name of the predicted label column.</param>
    /// <param name="scoreColumnName">Name of the score column.</param>
    public static SchemaShape Promise(
        SchemaShape input,
        LabelKind kind,
        PrimitiveDataViewType valueType,
        string predictedLabelColumnName,
        string scoreColumnName
    )
    {
        CheckNames(predictedLabelColumnName, scoreColumnName);
        SchemaShape.Column[] common =
        [
            MLNetInternals.ShapeColumn(ColumnSetId, VectorKind.Scalar, NumberDataViewType.UInt32, isKey: true),
            MLNetInternals.ShapeColumn(ColumnKind, VectorKind.Scalar, TextDataViewType.Instance),
            MLNetInternals.ShapeColumn(ValueKind, VectorKind.Scalar, TextDataViewType.Instance),
        ];
        SchemaShape.Column predicted =
            kind == LabelKind.Key
                ? MLNetInternals.ShapeColumn(
                    predictedLabelColumnName,
                    VectorKind.Scalar,
                    NumberDataViewType.UInt32,
                    isKey: true,
                    [MLNetInternals.ShapeColumn(KeyValueAnnotation.Name, VectorKind.Vector, valueType), .. common]
                )
                : MLNetInternals.ShapeColumn(predictedLabelColumnName, VectorKind.Scalar, TextDataViewType.Instance, isKey: false, common);
        SchemaShape.Column score = MLNetInternals.ShapeColumn(
            scoreColumnName,
            VectorKind.Vector,
            NumberDataViewType.Single,
            isKey: false,
            [
                MLNetInternals.ShapeColumn(SlotNames, VectorKind.Vector, TextDataViewType.Instance),
                MLNetInternals.ShapeColumn(TrainingLabelValues, VectorKind.Vector, valueType),
                .. common,
            ]
        );
        return new SchemaShape([.. input.Where(c => c.Name != predictedLabelColumnName && c.Name != scoreColumnName), predicted, score]);
    }

    /// <summary><paramref name="input"/> with the predicted label, then the scores, at its end; columns of the same name become
    /// hidden.</summary>
    public DataViewSchema AppendTo(DataViewSchema input)
    {
        uint set = NextSetId(input);
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(input);

        var predicted = new DataViewSchema.Annotations.Builder();
        if (Classes.Kind == LabelKind.Key)
            KeyValueAnnotation.Add(predicted, KeyValueAnnotation.Name, Classes.Names, Classes.ValueType);
        AddCommon(predicted, "PredictedLabel", set);
        DataViewType predictedType =
            Classes.Kind == LabelKind.Key ? new KeyDataViewType(typeof(uint), Classes.Count) : TextDataViewType.Instance;
        builder.AddColumn(PredictedLabelColumnName, predictedType, predicted.ToAnnotations());

        var score = new DataViewSchema.Annotations.Builder();
        KeyValueAnnotation.Add(score, SlotNames, Classes.Names, TextDataViewType.Instance);
        KeyValueAnnotation.Add(score, TrainingLabelValues, Classes.Names, Classes.ValueType);
        AddCommon(score, "Score", set);
        builder.AddColumn(ScoreColumnName, new VectorDataViewType(NumberDataViewType.Single, Classes.Count), score.ToAnnotations());
        return builder.ToSchema();
    }

    public ValueGetter<T> CreateGetter<T>(DataViewSchema.Column column, Func<float[]> numbers) =>
        ScoreGetters.Create<T>(this, column, numbers);

    private static void AddCommon(DataViewSchema.Annotations.Builder builder, string valueKind, uint set)
    {
        builder.Add(ColumnSetId, SetIdType, (ref uint value) => value = set);
        builder.Add(ColumnKind, TextDataViewType.Instance, (ref ReadOnlyMemory<char> value) =>
            value = "MulticlassClassification".AsMemory()
        );
        builder.Add(ValueKind, TextDataViewType.Instance, (ref ReadOnlyMemory<char> value) => value = valueKind.AsMemory());
    }

    // Evaluators use this number to group the columns of one scorer.
    private static uint NextSetId(DataViewSchema input)
    {
        uint highest = 0;
        foreach (DataViewSchema.Column column in input)
        {
            if (column.Annotations.Schema.GetColumnOrNull(ColumnSetId)?.Type is not KeyDataViewType { } key || key.RawType != typeof(uint))
                continue;
            uint set = 0;
            column.Annotations.GetValue(ColumnSetId, ref set);
            highest = Math.Max(highest, set);
        }
        return highest + 1;
    }

    private static void CheckNames(string predictedLabelColumnName, string scoreColumnName)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(predictedLabelColumnName);
        ArgumentException.ThrowIfNullOrWhiteSpace(scoreColumnName);
        if (predictedLabelColumnName == scoreColumnName)
            throw new ArgumentException(
                $"Predicted label and score cannot share the column name '{scoreColumnName}'.",
                nameof(scoreColumnName)
            );
    }
}
