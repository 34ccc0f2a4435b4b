using System.Globalization;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>The share of the work that this process does: every <paramref name="Count"/>th run of a study, or a contiguous range of a list
/// of images.</summary>
/// <param name="Index">Zero-based index of the shard.</param>
/// <param name="Count">Number of shards, at least 1.</param>
internal sealed record Shard(int Index, int Count)
{
    public static Shard Whole { get; } = new(0, 1);

    /// <summary>Whether a run belongs to the shard.</summary>
    /// <param name="place">Zero-based position of the run in its plan.</param>
    public bool Has(int place) => place % Count == Index;

    /// <summary>The range of a list that belongs to the shard; the ranges of all shards, concatenated, are the list.</summary>
    /// <param name="length">Length of the list.</param>
    public (int First, int End) StretchOf(int length) => ((int)((long)length * Index / Count), (int)((long)length * (Index + 1) / Count));

    /// <param name="option">Value of --shard, i/n with i from 1; null: taken from the scheduler's environment variables.</param>
    /// <param name="variable">Reads an environment variable.</param>
    /// <returns>The shard; <see cref="Whole"/> if neither the option nor a variable is set.</returns>
    /// <exception cref="ArgumentException">The option or a variable is malformed or out of range, or a variable for the count is
    /// missing.</exception>
    public static Shard Read(string? option, Func<string, string?> variable)
    {
        if (option is not null)
        {
            return
                option.Split('/') is [var of, var all]
                && int.TryParse(of, NumberStyles.None, CultureInfo.InvariantCulture, out int index)
                && int.TryParse(all, NumberStyles.None, CultureInfo.InvariantCulture, out int count)
                && index >= 1
                && index <= count
                ? new Shard(index - 1, count)
                : throw new ArgumentException($"--shard '{option}' is not a shard: write 1/4 to 4/4 for the four quarters of the whole.");
        }
        int? Number(string name) =>
            variable(name) is not { Length: > 0 } text ? null
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number
            : throw new ArgumentException($"{name} is '{text}', which is not a number: unset it, or give --shard.");

        if (Number("SLURM_ARRAY_TASK_ID") is int task)
        {
            int first = Number("SLURM_ARRAY_TASK_MIN") ?? 0,
                step = Math.Max(1, Number("SLURM_ARRAY_TASK_STEP") ?? 1);
            return Checked((task - first) / step, Number("SLURM_ARRAY_TASK_COUNT"), "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT");
        }
        return Number("JOB_COMPLETION_INDEX") is int completion
            ? Checked(
                completion,
                Number("JOB_COMPLETIONS") ?? Number("JOB_PARALLELISM"),
                "JOB_COMPLETION_INDEX",
                "JOB_COMPLETIONS or JOB_PARALLELISM"
            )
            : Whole;
    }

    private static Shard Checked(int index, int? count, string indexName, string countName) =>
        count is not int all ? throw new ArgumentException($"{indexName} is set, but {countName} is not: set it, or give --shard.")
        : index >= 0 && index < all ? new Shard(index, all)
        : throw new ArgumentException($"{indexName} names shard {index + 1} of {all} ({countName}), which does not exist: give --shard.");
}
