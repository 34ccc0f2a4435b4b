using System.Globalization;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>Which share of the work this process does: every <paramref name="Count"/>th run of a study, a stretch of a list of
/// images.</summary>
/// <param name="Index">From 0.</param>
/// <param name="Count">At least 1.</param>
internal sealed record Shard(int Index, int Count)
{
    public static Shard Whole { get; } = new(0, 1);

    /// <summary>Whether a run belongs to it.</summary>
    /// <param name="place">Of the run in its plan, from 0.</param>
    public bool Has(int place) => place % Count == Index;

    /// <summary>The stretch of a list that belongs to it; those of all shards, one after another, are the list.</summary>
    /// <param name="length">Of the list.</param>
    public (int First, int End) StretchOf(int length) => ((int)((long)length * Index / Count), (int)((long)length * (Index + 1) / Count));

    /// <param name="option">i/n with i from 1, as --shard gives it; null: the scheduler's variables say it.</param>
    /// <param name="variable">Reads an environment variable.</param>
    /// <returns><see cref="Whole"/> where neither does.</returns>
    /// <exception cref="ArgumentException">It is out of range, or no such text.</exception>
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
                : throw new ArgumentException($"--shard '{option}' is none: write 1/4 to 4/4 for the four quarters of the whole.");
        }
        int? Number(string name) =>
            variable(name) is not { Length: > 0 } text ? null
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number
            : throw new ArgumentException($"{name} is '{text}', which is no number: unset it, or give --shard.");

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
        : throw new ArgumentException($"{indexName} names shard {index + 1} of {all} ({countName}), which there is not: give --shard.");
}
