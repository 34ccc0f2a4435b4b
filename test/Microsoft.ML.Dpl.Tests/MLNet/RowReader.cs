using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.Tests.MLNet;

/// <summary>One scored row with the predicted class's name; columns that are not active have default values.</summary>
internal sealed record Scored(int Id, string Predicted, float[] Scores);

/// <summary>Reads those of the columns Id, PredictedLabel and Score that are active.</summary>
internal sealed class RowReader
{
    private readonly ValueGetter<float>? _id;
    private readonly ValueGetter<VBuffer<float>>? _scores;
    private readonly Func<string>? _predicted;

    public RowReader(DataViewRow row)
    {
        if (Active(row, "Id") is { } id)
            _id = row.GetGetter<float>(id);
        if (Active(row, "Score") is { } score)
            _scores = row.GetGetter<VBuffer<float>>(score);
        if (Active(row, "PredictedLabel") is not { } predicted)
            return;
        if (predicted.Type is TextDataViewType)
        {
            ValueGetter<ReadOnlyMemory<char>> get = row.GetGetter<ReadOnlyMemory<char>>(predicted);
            _predicted = () =>
            {
                ReadOnlyMemory<char> text = default;
                get(ref text);
                return text.ToString();
            };
            return;
        }
        VBuffer<ReadOnlyMemory<char>> names = default;
        predicted.Annotations.GetValue("KeyValues", ref names);
        ValueGetter<uint> getKey = row.GetGetter<uint>(predicted);
        _predicted = () =>
        {
            uint key = 0;
            getKey(ref key);
            return key == 0 ? "" : names.GetItemOrDefault((int)key - 1).ToString();
        };
    }

    public Scored Read()
    {
        float id = -1;
        _id?.Invoke(ref id);
        string predicted = _predicted?.Invoke() ?? "";
        VBuffer<float> scores = default;
        _scores?.Invoke(ref scores);
        return new Scored((int)id, predicted, scores.DenseValues().ToArray());
    }

    private static DataViewSchema.Column? Active(DataViewRow row, string name) =>
        row.Schema.GetColumnOrNull(name) is { } column && row.IsColumnActive(column) ? column : null;
}
