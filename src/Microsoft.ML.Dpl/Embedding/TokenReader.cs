using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML.Dpl.Embedding;

/// <summary>Reads a text column as CLIP's tokens, for scoring with or without libtorch. Thread-safe.</summary>
/// <param name="tokenizer">The tokenizer of the CLIP's vocabulary.</param>
/// <param name="longest">The text tower's number of positions, at least 2.</param>
/// <param name="refuse">Whether a text with more tokens is rejected; otherwise it is truncated.</param>
/// <param name="warn">Receives a warning about truncated texts, once per pass.</param>
internal sealed class TokenReader(ClipTokenizer tokenizer, int longest, bool refuse, Action<string> warn)
{
    public ClipTokenizer Tokenizer => tokenizer;

    /// <summary>Combines the column with the scorer that runs on it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The column is missing or is not text.</exception>
    public ScoredColumn ScoredBy(IBatchScorer<int[]> scorer, DataViewSchema schema, string columnName) =>
        new(TextColumn.Find(schema, columnName), scorer.BatchSize, row => new RowBatch<int[]>(Open(row, columnName), scorer));

    /// <summary>Creates a reader for the tokens of the row's current text.</summary>
    private Func<int[]> Open(DataViewRow row, string columnName)
    {
        ValueGetter<ReadOnlyMemory<char>> get = row.GetGetter<ReadOnlyMemory<char>>(row.Schema[columnName]);
        ReadOnlyMemory<char> text = default;
        bool told = false;
        return () =>
        {
            get(ref text);
            int[] tokens = tokenizer.Encode(text.ToString(), longest, out bool cut);
            if (!cut)
                return tokens;
            string which =
                $"Row {row.Position} (counted from 0), text column '{columnName}': the text is longer than CLIP's {longest} tokens";
            if (refuse)
                throw new TextTooLongException($"{which}. Shorten it, or allow the end of such texts to be ignored.", row.Position);
            if (!told)
                warn($"{which}; the rest is not read. Further texts of this pass may be too long as well.");
            told = true;
            return tokens;
        };
    }
}
