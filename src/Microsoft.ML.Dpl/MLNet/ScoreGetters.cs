using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Getters of the two added columns over one row's probabilities.</summary>
internal static class ScoreGetters
{
    /// <param name="schema">The classes.</param>
    /// <param name="column">One of the two added columns.</param>
    /// <param name="scores">The current row's probabilities, [classes].</param>
    /// <exception cref="InvalidOperationException">The column does not hold <typeparamref name="T"/>.</exception>
    public static ValueGetter<T> Create<T>(ScoreSchema schema, DataViewSchema.Column column, Func<float[]> scores)
    {
        Delegate getter =
            column.Name == schema.ScoreColumnName ? Score(scores)
            : schema.Classes.Kind == LabelKind.Key ? PredictedKey(schema, scores)
            : PredictedText(schema, scores);
        return As<T>(getter, column);
    }

    /// <summary>A getter for the current row's unmodified numbers.</summary>
    /// <inheritdoc cref="Create"/>
    public static ValueGetter<T> Vector<T>(DataViewSchema.Column column, Func<float[]> scores) => As<T>(Score(scores), column);

    private static ValueGetter<T> As<T>(Delegate getter, DataViewSchema.Column column) =>
        getter as ValueGetter<T>
        ?? throw new InvalidOperationException($"Column '{column.Name}' is of type {column.Type}; it cannot be read as {typeof(T)}.");

    /// <summary>The index of the highest score, the first one in a tie; -1 if any score is NaN, because the best class is then
    /// unknown.</summary>
    public static int Best(ReadOnlySpan<float> scores)
    {
        int best = 0;
        for (int i = 0; i < scores.Length; i++)
        {
            if (float.IsNaN(scores[i]))
                return -1;
            if (scores[i] > scores[best])
                best = i;
        }
        return best;
    }

    private static ValueGetter<VBuffer<float>> Score(Func<float[]> scores) =>
        (ref VBuffer<float> target) =>
        {
            float[] row = scores();
            VBufferEditor<float> editor = VBufferEditor.Create(ref target, row.Length);
            row.CopyTo(editor.Values);
            target = editor.Commit();
        };

    // ML.NET's keys count from 1; 0 is the missing key.
    private static ValueGetter<uint> PredictedKey(ScoreSchema schema, Func<float[]> scores) =>
        (ref uint target) => target = (uint)(schema.Best(scores()) + 1);

    private static ValueGetter<ReadOnlyMemory<char>> PredictedText(ScoreSchema schema, Func<float[]> scores) =>
        (ref ReadOnlyMemory<char> target) =>
        {
            int best = schema.Best(scores());
            target = best < 0 ? default : schema.Classes.Names[best].AsMemory();
        };
}
