using System.CommandLine;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>Where predictions for many images are written, and which of them this process makes.</summary>
/// <param name="Folder">Folder of the parts.</param>
/// <param name="Shard">The shard, a contiguous range of the parts, that this process makes.</param>
/// <param name="PartSize">Number of images in a part, at least 1.</param>
/// <param name="Resumes">Whether existing parts are kept.</param>
internal sealed record PartsRequest(string Folder, Shard Shard, int PartSize, bool Resumes);

/// <summary>The options for predictions that are written as parts.</summary>
internal sealed class PartsOptions
{
    private const int StandardSize = 1024;

    private readonly Option<string?> _output = new("--output", "-o")
    {
        Description =
            "A folder for the predictions, as files of --part-size images in the order of the input, each written as a whole. Concatenated "
            + "in the order of their names, they are what would have been written to the standard output.",
        HelpName = "folder",
    };
    private readonly Option<string?> _shard = new("--shard")
    {
        Description =
            "With --output: processes only the i-th of n sections of the input. Default: from SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX "
            + "and their counts, else all. The files do not depend on it.",
        HelpName = "i/n",
    };
    private readonly Option<int> _size = new("--part-size")
    {
        Description = "With --output: images per file, which is also the most that a killed process loses.",
        HelpName = "number",
        DefaultValueFactory = _ => StandardSize,
    };
    private readonly Option<bool> _resume = new("--resume")
    {
        Description = "With --output: continues where an earlier process stopped, or begins if there was none.",
    };

    public void AddTo(System.CommandLine.Command command)
    {
        foreach (Option option in new Option[] { _output, _shard, _size, _resume })
            command.Options.Add(option);
    }

    /// <returns>Null if predictions go to the standard output.</returns>
    /// <exception cref="ArgumentException">The options contradict each other, or there is no such shard.</exception>
    public PartsRequest? Read(ParseResult arguments, PredictionFormat format)
    {
        if (arguments.GetValue(_output) is not { } folder)
        {
            arguments.RefuseGiven("is for files: name a folder for them with --output.", _shard, _size, _resume);
            return null;
        }
        if (string.IsNullOrWhiteSpace(folder))
            throw new ArgumentException("--output is empty: name a folder.");
        if (format == PredictionFormat.Table)
            throw new ArgumentException("--output cannot be used with tables: give --format jsonl or csv.");
        int size = arguments.GetValue(_size);
        if (size < 1)
            throw new ArgumentException($"--part-size must be at least 1; it is {size}.");
        var shard = Shard.Read(arguments.GetValue(_shard), Environment.GetEnvironmentVariable);
        return new PartsRequest(folder, shard, size, arguments.GetValue(_resume));
    }
}
