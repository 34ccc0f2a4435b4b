using System.Text.Json;
using Microsoft.ML.Dpl.Tool.Options;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>What the bytes of parts depend on, beside the images.</summary>
/// <param name="Model">SHA-256 of the model's file.</param>
/// <param name="Format">csv or jsonl.</param>
/// <param name="Top">Classes of an image.</param>
/// <param name="KeepFormulas">Whether fields of csv stay as they are.</param>
/// <param name="BatchSize">Images that are classified together.</param>
/// <param name="PartSize">Images of a part.</param>
/// <param name="Images">Of all shards together; null where there is one shard, which need not know it.</param>
/// <param name="Engine">What computed; where a journal does not say, libtorch did, since there was nothing else.</param>
/// <param name="Precision">Of the weights; null: as the zip has it.</param>
internal sealed record PartSettings(
    string Model,
    PredictionFormat Format,
    int Top,
    bool KeepFormulas,
    int BatchSize,
    int PartSize,
    int? Images,
    ScoringEngine Engine = ScoringEngine.LibTorch,
    OnnxPrecision? Precision = null
)
{
    /// <summary>What differs from other settings, for a message; null: nothing.</summary>
    public string? Difference(PartSettings made) =>
        made.Model != Model ? "another model"
        : made.Format != Format ? $"another --format: '{made.Format.ToString().ToLowerInvariant()}'"
        : made.Top != Top ? $"another --top: {made.Top}"
        : made.KeepFormulas != KeepFormulas ? $"--keep-formulas {(made.KeepFormulas ? "given" : "not given")}"
        : made.BatchSize != BatchSize ? $"another --batch-size: {made.BatchSize}"
        : made.Engine != Engine ? $"another --engine: '{made.Engine.ToString().ToLowerInvariant()}'"
        : made.Precision != Precision
            ? made.Precision is { } precision ? $"another --precision: '{precision.ToString().ToLowerInvariant()}'"
                : "no --precision"
        : made.PartSize != PartSize ? $"another --part-size: {made.PartSize}"
        : made.Images is int before && Images is int now && before != now ? $"another number of images: {before} instead of {now}"
        : null;
}

/// <summary>A part whose file is whole.</summary>
/// <param name="Part">Its place among the parts of all shards, from 0.</param>
/// <param name="Images">In it.</param>
/// <param name="Unreadable">Of these, those that could not be read.</param>
/// <param name="Bytes">Of its file.</param>
/// <param name="Paths">SHA-256 of the images' paths, by which a changed list is noticed.</param>
internal sealed record DonePart(int Part, int Images, int Unreadable, long Bytes, string Paths);

/// <summary>What a shard keeps beside its parts.</summary>
/// <param name="Form">Of this file.</param>
/// <param name="Settings">Of the parts.</param>
/// <param name="Parts">In their order.</param>
/// <param name="IsComplete">Whether the shard has no more.</param>
internal sealed record PartsJournal(int Form, PartSettings Settings, IReadOnlyList<DonePart> Parts, bool IsComplete)
{
    public const int CurrentForm = 1;

    /// <returns>Null where the file cannot be read as one.</returns>
    public static PartsJournal? TryRead(string file)
    {
        try
        {
            return
                JsonSerializer.Deserialize<PartsJournal>(File.ReadAllBytes(file), ToolJson.Indented)
                    is { Form: CurrentForm, Settings: not null, Parts: not null } journal
                ? journal
                : null;
        }
        catch (JsonException)
        {
            // The caller says so.
            return null;
        }
    }

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, ToolJson.Indented);
}
