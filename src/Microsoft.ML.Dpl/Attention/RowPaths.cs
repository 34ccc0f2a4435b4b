namespace Microsoft.ML.Dpl.Attention;

/// <summary>
/// Which key rows each query attends to, where texts that begin alike share rows: those from the first token to its own, at most a few
/// dozen. The same as an <see cref="AttentionLayout"/>'s sequences, shared keys, packing and mask say, without padding and with every row
/// once.
/// </summary>
internal sealed class RowPaths
{
    /// <param name="before">The row before each row in its text; −1: none.</param>
    /// <param name="queries">The row that each query is; null: every row asks.</param>
    public RowPaths(IReadOnlyList<int> before, IReadOnlyList<int>? queries = null)
    {
        int count = queries?.Count ?? before.Count;
        Rows = before.Count;
        Starts = new int[count + 1];
        var keys = new List<int>();
        for (int query = 0; query < count; query++)
        {
            for (int row = queries?[query] ?? query; row >= 0; row = before[row])
                keys.Add(row);
            keys.Reverse(Starts[query], keys.Count - Starts[query]);
            Starts[query + 1] = keys.Count;
            Longest = Math.Max(Longest, keys.Count - Starts[query]);
        }
        Keys = [.. keys];
    }

    /// <summary>[queries + 1] where each query's keys begin in <see cref="Keys"/>.</summary>
    public int[] Starts { get; }

    /// <summary>Rows, from the first token of a text to the query's own.</summary>
    public int[] Keys { get; }

    /// <summary>Rows that there are.</summary>
    public int Rows { get; }

    /// <summary>Queries.</summary>
    public int Count => Starts.Length - 1;

    /// <summary>Most keys of a query.</summary>
    public int Longest { get; }
}
